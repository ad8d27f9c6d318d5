package wheel_test

import (
	"fmt"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

func Example() {
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()

	fired := make(chan string)
	w.AfterFunc(20*time.Millisecond, func() { fired <- "tea is ready" })
	reminder := w.AfterFunc(time.Hour, func() { fired <- "tea is cold" })

	fmt.Println(<-fired)
	fmt.Println("stopped in time:", reminder.Stop())
	fmt.Println("pending:", w.Len())
	// Output:
	// tea is ready
	// stopped in time: true
	// pending: 0
}

// A Timer that is embedded in another struct needs no allocation.
func ExampleTimer_Init() {
	type session struct {
		name string
		idle wheel.Timer
	}

	w, err := wheel.New(wheel.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()

	closed := make(chan struct{})
	s := &session{name: "alice"}
	s.idle.Init(w, func() {
		fmt.Println(s.name, "was idle for too long")
		close(closed)
	})
	s.idle.Reset(20 * time.Millisecond)
	<-closed
	// Output:
	// alice was idle for too long
}

// Extend is for activity: it is cheap while the timer is pending, and reports false once
// the timer has fired.
func ExampleTimer_Extend() {
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()

	closed := make(chan struct{})
	idle := w.AfterFunc(time.Minute, func() { close(closed) })

	received := func(message string) {
		if !idle.Extend(5 * time.Minute) {
			fmt.Println("too late for", message)
			return
		}
		fmt.Println("received", message)
	}
	received("hello")

	idle.Reset(time.Millisecond) // expires soon
	<-closed
	received("are you there?")
	// Output:
	// received hello
	// too late for are you there?
}

// Stats has the counts of a wheel and the lateness of its callbacks.
func ExampleWheel_Stats() {
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()

	fired := make(chan struct{})
	w.AfterFunc(20*time.Millisecond, func() { close(fired) })
	w.AfterFunc(time.Hour, func() {})
	before := w.Stats().Late
	<-fired

	st := w.Stats()
	fmt.Println("pending", st.Pending, "fired", st.Fired, "rescued", st.Rescued)
	late := st.Late.Sub(before) // since the reading before
	fmt.Println(late.Count(), "callback, none early:", late.Quantile(0.99) > 0)
	for _, slot := range w.Slots() {
		fmt.Println(slot.Timers, "timer in a slot that spans", slot.Span)
	}
	// Output:
	// pending 1 fired 1 rescued 0
	// 1 callback, none early: true
	// 1 timer in a slot that spans 43m41.44s
}
