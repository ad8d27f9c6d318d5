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
	// examplesTick and examplesSize are the setting of the library's own
	// examples.
	examplesTick = time.Millisecond
	examplesSize = 20

	// silence is how long nothing may fire before the pressure counts as over.
	silence = 3 * time.Second
)

// alone is a wheel without sessions, as small as its documentation shows it.
type alone struct {
	after func(time.Duration, func())
	stop  func()
}

// newAlone makes a library wheel of the given size at a tick of 1 ms, or a wheel
// of this project at that tick, or uses the runtime's timers.
func newAlone(impl string, size int64) (alone, error) {
	switch impl {
	case Ours:
		w, err := wheel.New(wheel.Config{Tick: examplesTick})
		if err != nil {
			return alone{}, err
		}
		return alone{func(d time.Duration, f func()) { w.AfterFunc(d, f) }, w.Close}, nil
	case Plain:
		tw := timingwheel.NewTimingWheel(examplesTick, size)
		tw.Start()
		return alone{func(d time.Duration, f func()) { tw.AfterFunc(d, f) }, tw.Stop}, nil
	case AfterFunc:
		return alone{func(d time.Duration, f func()) { time.AfterFunc(d, f) }, func() {}}, nil
	default:
		return alone{}, fmt.Errorf("faults: %s is no wheel", impl)
	}
}

// shortTimers has many timers re-arm themselves from their callbacks. Half are
// due in less than two ticks, half in about one turn of the library's lowest
// level: those two kinds meet in its slots.
func shortTimers(_ context.Context, c Case) (Figures, string, error) {
	a, err := newAlone(c.Impl, examplesSize)
	if err != nil {
		return nil, "", err
	}
	const tick = examplesTick
	var (
		armings, firings, inside atomic.Int64
		over                     atomic.Bool
		start                    = time.Now()
		last                     atomic.Int64 // the latest firing, since start
	)
	var arm func()
	arm = func() {
		d := rand.N(2 * tick)
		if rand.N(2) == 0 {
			d = (examplesSize-2)*tick + rand.N(3*tick)
		}
		armings.Add(1)
		inside.Add(1)
		a.after(d, func() {
			firings.Add(1)
			last.Store(int64(time.Since(start)))
			if !over.Load() {
				arm()
			}
		})
		inside.Add(-1)
	}
	for range c.scaled(10_000, 2_000) {
		go arm()
	}
	quietFor := func() time.Duration { return time.Since(start) - time.Duration(last.Load()) }
	for time.Since(start) < time.Duration(c.scaled(20, 3))*time.Second && quietFor() < silence {
		time.Sleep(20 * time.Millisecond)
	}
	over.Store(true)
	for firings.Load() < armings.Load() && quietFor() < c.lostAfter() {
		time.Sleep(20 * time.Millisecond)
	}
	f := Figures{
		armed: float64(armings.Load()), lost: float64(armings.Load() - firings.Load()),
		hung: float64(inside.Load()), stalled: -1,
	}
	if f[lost] > 0 {
		f[stalled] = millis(time.Duration(last.Load()))
	}
	return f, "", nil
}

// smallest arms timers at the smallest setting.
func smallest(_ context.Context, c Case) (Figures, string, error) {
	a, err := newAlone(c.Impl, 1)
	if err != nil {
		return nil, "", err
	}
	const n, d = 100, 50 * time.Millisecond
	b := newBook(n)
	for id := range int64(n) {
		b.arm(id, d)
		a.after(d, func() { b.fire(id) })
	}
	b.wait(c.lostAfter())
	a.stop()
	text := ""
	if c.Impl == Ours {
		_, err := wheel.New(wheel.Config{Tick: time.Millisecond - 1})
		text = fmt.Sprintf("less is an error: %v", err)
	}
	return b.figures(), text, nil
}

func stopTwice(_ context.Context, c Case) (Figures, string, error) {
	a, err := newAlone(c.Impl, examplesSize)
	if err != nil {
		return nil, "", err
	}
	a.stop()
	a.stop()
	return Figures{}, "nothing happens", nil
}

// armAndStop stops wheels while timers are being armed on them.
func armAndStop(_ context.Context, c Case) (Figures, string, error) {
	const armers, longest = 8, 5 * time.Millisecond
	var inside, stopping atomic.Int64
	for range c.scaled(300, 50) {
		a, err := newAlone(c.Impl, examplesSize)
		if err != nil {
			return nil, "", err
		}
		var over atomic.Bool
		var all sync.WaitGroup
		for range armers {
			all.Go(func() {
				for !over.Load() {
					inside.Add(1)
					a.after(rand.N(longest), func() {})
					inside.Add(-1)
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
		go func() { // ends with the last call, or with the process
			all.Wait()
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(50 * time.Millisecond):
		}
	}
	time.Sleep(silence)
	return Figures{hung: float64(inside.Load()), stops: float64(stopping.Load())}, "", nil
}
