package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/RussellLuo/timingwheel"

	"github.com/sessionwheel/sessionwheel/wheel"
)

const (
	// exampleTick and exampleSize are the settings of the library's own examples.
	exampleTick = time.Millisecond
	exampleSize = 20

	// stallTimeout is the time without a firing after which timers count as
	// stalled.
	stallTimeout = 3 * time.Second
)

// timerAPI has the functions of a wheel without sessions.
type timerAPI struct {
	after func(time.Duration, func())
	stop  func()
}

// newTimerAPI returns a wheel of the library with the given size, a wheel of this
// project, or the runtime's timers. The wheels have a tick of 1 ms.
func newTimerAPI(impl string, size int64) (timerAPI, error) {
	switch impl {
	case Ours:
		w, err := wheel.New(wheel.Config{Tick: exampleTick})
		if err != nil {
			return timerAPI{}, err
		}
		return timerAPI{func(d time.Duration, f func()) { w.AfterFunc(d, f) }, w.Close}, nil
	case Plain:
		tw := timingwheel.NewTimingWheel(exampleTick, size)
		tw.Start()
		return timerAPI{func(d time.Duration, f func()) { tw.AfterFunc(d, f) }, tw.Stop}, nil
	case AfterFunc:
		return timerAPI{func(d time.Duration, f func()) { time.AfterFunc(d, f) }, func() {}}, nil
	default:
		return timerAPI{}, fmt.Errorf("faults: %s has no timers", impl)
	}
}

// shortTimers runs many timers that re-arm themselves in their callbacks. Half are
// due in less than two ticks, and half in about one turn of the library's lowest
// level. Timers of both kinds meet in the same slots.
func shortTimers(_ context.Context, c Case) (Figures, string, error) {
	a, err := newTimerAPI(c.Impl, exampleSize)
	if err != nil {
		return nil, "", err
	}
	const tick = exampleTick
	var (
		armings, firings, calls atomic.Int64 // calls counts those under way
		over                    atomic.Bool
		start                   = time.Now()
		last                    atomic.Int64 // the latest firing, since start
	)
	var arm func()
	arm = func() {
		d := rand.N(2 * tick)
		if rand.N(2) == 0 {
			d = (exampleSize-2)*tick + rand.N(3*tick)
		}
		armings.Add(1)
		calls.Add(1)
		a.after(d, func() {
			firings.Add(1)
			last.Store(int64(time.Since(start)))
			if !over.Load() {
				arm()
			}
		})
		calls.Add(-1)
	}
	for range c.scaled(10_000, 2_000) {
		go arm()
	}
	sinceFiring := func() time.Duration { return time.Since(start) - time.Duration(last.Load()) }
	for time.Since(start) < time.Duration(c.scaled(20, 3))*time.Second && sinceFiring() < stallTimeout {
		time.Sleep(20 * time.Millisecond)
	}
	over.Store(true)
	for firings.Load() < armings.Load() && sinceFiring() < c.lostAfter() {
		time.Sleep(20 * time.Millisecond)
	}
	f := Figures{
		armed: float64(armings.Load()), lost: float64(armings.Load() - firings.Load()),
		hung: float64(calls.Load()), stalled: -1,
	}
	if f[lost] > 0 {
		f[stalled] = millis(time.Duration(last.Load()))
	}
	return f, "", nil
}

// smallest arms timers of a wheel with the smallest setting.
func smallest(_ context.Context, c Case) (Figures, string, error) {
	a, err := newTimerAPI(c.Impl, 1)
	if err != nil {
		return nil, "", err
	}
	const n, d = 100, 50 * time.Millisecond
	rec := newRecorder(n)
	for id := range int64(n) {
		rec.arm(id, d)
		a.after(d, func() { rec.fire(id) })
	}
	rec.wait(c.lostAfter())
	a.stop()
	text := ""
	if c.Impl == Ours {
		_, err := wheel.New(wheel.Config{Tick: time.Millisecond - 1})
		text = fmt.Sprintf("less is an error: %v", err)
	}
	return rec.figures(), text, nil
}

func stopTwice(_ context.Context, c Case) (Figures, string, error) {
	a, err := newTimerAPI(c.Impl, exampleSize)
	if err != nil {
		return nil, "", err
	}
	a.stop()
	a.stop()
	return Figures{}, "nothing happens", nil
}

// armAndStop stops wheels while goroutines arm timers on them.
func armAndStop(_ context.Context, c Case) (Figures, string, error) {
	const armers, longest = 8, 5 * time.Millisecond
	var calls, stopping atomic.Int64 // those under way
	for range c.scaled(300, 50) {
		a, err := newTimerAPI(c.Impl, exampleSize)
		if err != nil {
			return nil, "", err
		}
		var over atomic.Bool
		var all sync.WaitGroup
		for range armers {
			all.Go(func() {
				for !over.Load() {
					calls.Add(1)
					a.after(rand.N(longest), func() {})
					calls.Add(-1)
					time.Sleep(rand.N(50 * time.Microsecond))
				}
			})
		}
		time.Sleep(longest)
		stopping.Add(1)
		all.Go(func() {
			a.stop()
			stopping.Add(-1)
		})
		time.Sleep(longest)
		over.Store(true)
		done := make(chan struct{})
		go func() { // until the last call returns, or the process ends
			all.Wait()
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(50 * time.Millisecond):
		}
	}
	time.Sleep(stallTimeout)
	return Figures{hung: float64(calls.Load()), stops: float64(stopping.Load())}, "", nil
}
