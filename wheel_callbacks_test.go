package sessionwheel_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// wheelGate holds up callbacks that receive from it until open is called, or the
// test or its bubble has failed.
func wheelGate(t *testing.T) (gate chan struct{}, open func()) {
	gate = make(chan struct{})
	open = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	return gate, open
}

func TestAtMostMaxCallbacksRunAtOnce(t *testing.T) {
	for _, tt := range []struct{ set, bound int }{{1, 1}, {3, 3}, {0, 256}} {
		onFakeTime(t, wheel.Config{MaxCallbacks: tt.set}, func(t *testing.T, w *wheel.Wheel) {
			const waiting = 20
			var started, running, peak atomic.Int64
			gate, open := wheelGate(t)
			for i := range tt.bound + waiting {
				// Half of them at one tick, half at once.
				w.AfterFunc(time.Duration(i%2)*time.Second, func() {
					started.Add(1)
					if n := running.Add(1); n > peak.Load() {
						peak.Store(n) // only ever raised by one at a time here
					}
					<-gate
					running.Add(-1)
				})
			}
			wheelSleep(time.Hour)
			require.EqualValues(t, tt.bound, started.Load())
			require.Zero(t, w.Len(), "those that wait have fired")
			require.Equal(t, tt.bound, w.Stats().Running)
			require.Equal(t, waiting, w.Stats().Waiting)

			for i := range waiting { // each place that falls free is taken
				gate <- struct{}{}
				synctest.Wait()
				require.EqualValues(t, tt.bound+i+1, started.Load())
				require.EqualValues(t, tt.bound, running.Load())
			}
			open()
			synctest.Wait()
			require.EqualValues(t, tt.bound, peak.Load())
			require.Zero(t, w.Stats().Running)
			require.Zero(t, w.Stats().Waiting)
		})
	}
}

func TestABlockedCallbackHoldsUpNobodyWhileThereArePlaces(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 4}, func(t *testing.T, w *wheel.Wheel) {
		gate, _ := wheelGate(t)
		var late wheelFiring
		for i := range 3 {
			w.AfterFunc(time.Second, func() { <-gate }) // one more blocks for ever
			wheelSleep(time.Second)
			for j := range 50 { // and the rest are on time: alone, together, at once
				d := time.Duration(j%3) * 10 * time.Millisecond
				due := w.Elapsed() + d
				w.AfterFunc(d, func() {
					late.runs.Add(1)
					if w.Elapsed() != due {
						late.at.Store(int64(due))
					}
				})
			}
			wheelSleep(time.Second)
			require.EqualValues(t, 50*(i+1), late.runs.Load())
		}
		require.Zero(t, late.at.Load())
	})
}

func TestATimerThatWaitsForAPlaceHasFired(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 1}, func(t *testing.T, w *wheel.Wheel) {
		gate, open := wheelGate(t)
		var f wheelFiring
		w.AfterFunc(0, func() { <-gate })
		timer := w.AfterFunc(time.Second, f.on(w))
		wheelSleep(time.Minute)
		require.False(t, timer.Stop())
		require.False(t, timer.Extend(time.Hour))
		require.False(t, timer.Reset(time.Second), "a second arming")
		require.Equal(t, 1, w.Len())
		open()
		wheelSleep(time.Minute)
		require.EqualValues(t, 2, f.runs.Load())
	})
}

func TestOnPanicGetsTheValueAndTheStackAndTheWheelGoesOn(t *testing.T) {
	type seen struct {
		value any
		stack string
	}
	for _, bound := range []int{1, 8} {
		panics := make(chan seen, 100)
		config := wheel.Config{MaxCallbacks: bound, OnPanic: func(v any, stack []byte) { panics <- seen{v, string(stack)} }}
		onFakeTime(t, config, func(t *testing.T, w *wheel.Wheel) {
			boom := errors.New("boom")
			var f wheelFiring
			for range 50 {
				w.AfterFunc(time.Second, func() { wheelPanics(boom) })
				w.AfterFunc(time.Second, f.on(w))
				w.AfterFunc(0, func() { panic(nil) }) //nolint:govet // a panic all the same
			}
			wheelSleep(time.Minute)
			require.EqualValues(t, 50, f.runs.Load())
			require.Len(t, panics, 100)
			for range 50 {
				require.IsType(t, new(runtime.PanicNilError), (<-panics).value)
			}
			for range 50 {
				p := <-panics
				require.Equal(t, boom, p.value)
				require.Contains(t, p.stack, "wheelPanics")
			}
			require.Zero(t, w.Stats().Running)
		})
	}
}

func wheelPanics(v any) { panic(v) }

func TestAPanicWithoutOnPanicEndsTheProcess(t *testing.T) {
	if os.Getenv(helperEnv) != "" {
		w := startWheel(t, wheel.Config{})
		w.AfterFunc(time.Millisecond, func() { wheelPanics("nobody recovers this") })
		time.Sleep(30 * time.Second)
		return // and so exits with 0
	}
	out, err := helper(t, "panic").CombinedOutput()
	exit := new(exec.ExitError)
	require.ErrorAs(t, err, &exit, "%s", out)
	require.Equal(t, 2, exit.ExitCode(), "%s", out)
	require.Contains(t, string(out), "panic: nobody recovers this")
	require.Contains(t, string(out), "wheelPanics")
}

func TestGoexitInACallbackKeepsTheBooks(t *testing.T) {
	for _, bound := range []int{1, 3} {
		onFakeTime(t, wheel.Config{MaxCallbacks: bound}, func(t *testing.T, w *wheel.Wheel) {
			var f wheelFiring
			for i := range 100 {
				d := time.Duration(i%2) * time.Second
				w.AfterFunc(d, func() { runtime.Goexit() })
				w.AfterFunc(d, f.on(w))
			}
			wheelSleep(time.Minute)
			require.EqualValues(t, 100, f.runs.Load())
			require.Zero(t, w.Stats().Running)
			require.Zero(t, w.Stats().Waiting)

			gate, open := wheelGate(t)
			var started atomic.Int64
			for range 10 {
				w.AfterFunc(0, func() { started.Add(1); <-gate })
			}
			synctest.Wait()
			require.EqualValues(t, bound, started.Load(), "as many places as before")
			open()
		})
	}
}

func TestCloseEndsEveryArming(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 2}, func(t *testing.T, w *wheel.Wheel) {
		gate, open := wheelGate(t)
		var f wheelFiring
		for range 50 {
			w.AfterFunc(0, func() { f.runs.Add(1); <-gate })
		}
		stopped := w.AfterFunc(time.Hour, f.on(w))
		stopped.Stop()
		fired := w.AfterFunc(time.Second, f.on(w)) // waits for a place
		pending := w.AfterFunc(time.Hour, f.on(w))
		forever := w.AfterFunc(wheelForever, f.on(w))
		wheelSleep(time.Minute)
		before := w.Elapsed()

		var all sync.WaitGroup
		for range 8 {
			all.Go(w.Close)
		}
		all.Wait()
		w.Close()
		require.Less(t, w.Elapsed()-before, 100*time.Millisecond, "it waits for no callback")
		require.Zero(t, w.Len())
		require.Zero(t, w.Stats().Slots)
		var fresh wheel.Timer
		fresh.Init(w, f.on(w))
		for _, timer := range []*wheel.Timer{stopped, fired, pending, forever, &fresh, w.AfterFunc(time.Second, f.on(w)), w.AfterFunc(-1, f.on(w))} {
			for _, d := range []time.Duration{0, 1, time.Second, wheelForever, -1} {
				require.False(t, timer.Reset(d))
				require.False(t, timer.Extend(d))
				require.False(t, timer.Stop())
				_, ok := timer.Deadline()
				require.False(t, ok)
			}
		}
		require.Zero(t, w.Len())
		require.Equal(t, wheel.Stats{Fired: 51, Moved: w.Stats().Moved, Running: 2}, countsOf(w), "two are still blocked")
		open()
		wheelSleep(2 * time.Hour)
		require.EqualValues(t, 2, f.runs.Load(), "none that waited, none that was pending, none since")
		require.Zero(t, w.Stats().Running)
	})
}

func TestCloseFromACallback(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 1}, func(t *testing.T, w *wheel.Wheel) {
		var f, later wheelFiring
		for range 10 {
			w.AfterFunc(time.Second, func() {
				w.Close()
				f.runs.Add(1)
				w.Close()
				w.AfterFunc(0, later.on(w))
			})
		}
		w.AfterFunc(2*time.Second, later.on(w))
		wheelSleep(time.Minute)
		require.EqualValues(t, 1, f.runs.Load())
		require.Zero(t, later.runs.Load())
	})
}

// TestAWheelClosesWhileTheLibraryTurns closes at the very millisecond at which
// one of the library's upper levels comes up, all of which do so at multiples of
// 61 of the wall clock's. Its Stop then hangs easily: goroutines stay behind,
// and the bubble reports a deadlock.
func TestAWheelClosesWhileTheLibraryTurns(t *testing.T) {
	turned := func(first, turn int64) (stuck any) {
		defer func() { stuck = recover() }()
		onFakeTime(t, wheel.Config{Tick: time.Second}, func(t *testing.T, w *wheel.Wheel) {
			start := time.Now()
			for i := first + 9; i >= first; i-- { // ever earlier, so that the library holds them all
				w.AfterFunc(time.Duration(i)*time.Second, func() {})
				synctest.Wait()
			}
			asked := start.UnixMilli() + first*1000 - 1
			time.Sleep(time.UnixMilli(asked / turn * turn).Sub(start))
			before := w.Elapsed()
			w.Close()
			require.Less(t, w.Elapsed()-before, 500*time.Millisecond)
		})
		return nil
	}
	for range 20 {
		for first := int64(5); first < 50; first += 3 {
			require.Nil(t, turned(first, 61))
			require.Nil(t, turned(first, 61*61))
		}
	}
}

func TestTheZeroTimersMethodsPanic(t *testing.T) {
	for name, f := range map[string]func(*wheel.Timer){
		"Reset":    func(timer *wheel.Timer) { timer.Reset(time.Second) },
		"Reset(0)": func(timer *wheel.Timer) { timer.Reset(0) },
		"Extend":   func(timer *wheel.Timer) { timer.Extend(time.Second) },
		"Extend-1": func(timer *wheel.Timer) { timer.Extend(-1) },
		"ExtendTo": func(timer *wheel.Timer) { timer.ExtendTo(time.Second) },
		"ResetTo":  func(timer *wheel.Timer) { timer.ResetTo(0, time.Second) },
		"Due":      func(timer *wheel.Timer) { timer.Due() },
		"Stop":     func(timer *wheel.Timer) { timer.Stop() },
		"Deadline": func(timer *wheel.Timer) { timer.Deadline() },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				v, _ := recover().(string)
				require.True(t, strings.HasPrefix(v, "wheel: "), v)
				require.Contains(t, v, "Timer.Init")
			}()
			f(new(wheel.Timer))
		})
	}
}

func TestInitPanicsOnWhatCodeGotWrong(t *testing.T) {
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		var first, second wheelFiring
		var timer wheel.Timer
		require.Panics(t, func() { timer.Init(nil, func() {}) })
		require.Panics(t, func() { timer.Init(w, nil) })
		require.Panics(t, func() { w.AfterFunc(time.Second, nil) })
		require.Zero(t, w.Len())

		timer.Init(w, first.on(w))
		require.False(t, timer.Stop(), "it is not armed yet")
		require.False(t, timer.Extend(time.Second))
		require.False(t, timer.Reset(time.Second))
		for _, d := range []time.Duration{time.Second, wheelForever} {
			timer.Reset(d)
			require.PanicsWithValue(t, "wheel: Timer.Init of a pending timer", func() { timer.Init(w, func() {}) })
		}
		timer.Reset(time.Second)
		wheelSleep(time.Minute)
		require.EqualValues(t, 1, first.runs.Load())

		other := startWheel(t, wheel.Config{})
		timer.Init(other, second.on(other))
		timer.Reset(time.Second)
		require.Equal(t, 1, other.Len())
		wheelSleep(time.Minute)
		require.EqualValues(t, 1, first.runs.Load())
		require.EqualValues(t, 1, second.runs.Load())
	})
}

func TestDeadlineIsWhenTheTimerIsDue(t *testing.T) {
	onFakeTime(t, wheel.Config{Tick: time.Second}, func(t *testing.T, w *wheel.Wheel) {
		time.Sleep(time.Minute + 7)
		now := time.Now()
		timer := w.AfterFunc(90*time.Millisecond, func() {})
		is := func(d time.Duration) {
			t.Helper()
			at, ok := timer.Deadline()
			require.True(t, ok)
			require.Equal(t, d, at.Sub(now), "to the nanosecond, not to the tick")
			require.Equal(t, at, w.Time(at.Sub(w.Time(0))))
		}
		is(90 * time.Millisecond)
		require.True(t, timer.Extend(80*time.Millisecond))
		is(90 * time.Millisecond)
		require.True(t, timer.Extend(100*time.Millisecond))
		is(100 * time.Millisecond)
		require.True(t, timer.Reset(5))
		is(5)
		require.True(t, timer.ExtendTo(w.Elapsed()+11))
		is(11)
		require.True(t, timer.ExtendTo(w.Elapsed()))
		is(11)
		require.True(t, timer.Reset(wheelForever))
		at, ok := timer.Deadline()
		require.True(t, ok)
		require.Greater(t, at.Sub(now), 290*365*24*time.Hour)
		require.True(t, timer.Stop())
		_, ok = timer.Deadline()
		require.False(t, ok)
	})
}

// A bubble's times carry no monotonic reading, so this is on the real clock.
func TestDeadlineCarriesAMonotonicReading(t *testing.T) {
	w := startWheel(t, wheel.Config{})
	at, ok := w.AfterFunc(time.Hour, func() {}).Deadline()
	require.True(t, ok)
	require.Contains(t, at.String(), " m=")
}

func TestDueTellsACallbackWhatItRunsFor(t *testing.T) {
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		var timer wheel.Timer
		due := make(chan time.Duration)
		timer.Init(w, func() {
			at, pending := timer.Due()
			if pending {
				at = -1
			}
			due <- at
		})
		timer.ResetTo(w.Elapsed(), time.Hour)
		timer.ExtendTo(2*time.Hour + 3)
		require.Equal(t, 2*time.Hour+3, <-due)
		timer.ResetTo(w.Elapsed(), 5*time.Second) // which is past
		require.Equal(t, 5*time.Second, <-due)
		require.Equal(t, 2*time.Hour+10*time.Millisecond, w.Elapsed())
	})
}
