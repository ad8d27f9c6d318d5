package wheel_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestMaxCallbacks_IsTheMostThatRunAtOnce(t *testing.T) {
	for _, tt := range []struct{ set, bound int }{{1, 1}, {3, 3}, {0, 256}} {
		onFakeTime(t, wheel.Config{MaxCallbacks: tt.set}, func(t *testing.T, w *wheel.Wheel) {
			const waiting = 20
			var started, running, peak atomic.Int64
			gate, open := newGate(t)
			for i := range tt.bound + waiting {
				// Half of them at one tick, half at once.
				w.AfterFunc(time.Duration(i%2)*time.Second, func() {
					started.Add(1)
					if n := running.Add(1); n > peak.Load() {
						peak.Store(n) // callbacks start one at a time here
					}
					<-gate
					running.Add(-1)
				})
			}
			sleep(time.Hour)
			require.EqualValues(t, tt.bound, started.Load())
			require.Zero(t, w.Len(), "those that wait have fired")
			require.Equal(t, tt.bound, w.Stats().Running)
			require.Equal(t, waiting, w.Stats().Waiting)

			for i := range waiting { // each place that becomes free is taken
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

func TestMaxCallbacks_ABlockedCallbackDelaysNoOtherWhileThereArePlaces(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 4}, func(t *testing.T, w *wheel.Wheel) {
		gate, _ := newGate(t)
		var late firing
		for i := range 3 {
			w.AfterFunc(time.Second, func() { <-gate }) // one more blocks for ever
			sleep(time.Second)
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
			sleep(time.Second)
			require.EqualValues(t, 50*(i+1), late.runs.Load())
		}
		require.Zero(t, late.at.Load())
	})
}

func TestMaxCallbacks_ATimerThatWaitsForAPlaceHasFired(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 1}, func(t *testing.T, w *wheel.Wheel) {
		gate, open := newGate(t)
		var f firing
		w.AfterFunc(0, func() { <-gate })
		timer := w.AfterFunc(time.Second, f.on(w))
		sleep(time.Minute)
		require.False(t, timer.Stop())
		require.False(t, timer.Extend(time.Hour))
		require.False(t, timer.Reset(time.Second), "a second arming")
		require.Equal(t, 1, w.Len())
		open()
		sleep(time.Minute)
		require.EqualValues(t, 2, f.runs.Load())
	})
}

func TestOnPanic_GetsTheValueAndTheStackAndTheWheelGoesOn(t *testing.T) {
	type seen struct {
		value any
		stack string
	}
	for _, bound := range []int{1, 8} {
		panics := make(chan seen, 100)
		config := wheel.Config{MaxCallbacks: bound, OnPanic: func(v any, stack []byte) { panics <- seen{v, string(stack)} }}
		onFakeTime(t, config, func(t *testing.T, w *wheel.Wheel) {
			boom := errors.New("boom")
			var f firing
			for range 50 {
				w.AfterFunc(time.Second, func() { panicWith(boom) })
				w.AfterFunc(time.Second, f.on(w))
				w.AfterFunc(0, func() { panic(nil) }) //nolint:govet // a panic all the same
			}
			sleep(time.Minute)
			require.EqualValues(t, 50, f.runs.Load())
			require.Len(t, panics, 100)
			for range 50 {
				require.IsType(t, new(runtime.PanicNilError), (<-panics).value)
			}
			for range 50 {
				p := <-panics
				require.Equal(t, boom, p.value)
				require.Contains(t, p.stack, "panicWith")
			}
			require.Zero(t, w.Stats().Running)
		})
	}
}

func panicWith(v any) { panic(v) }

func TestPanic_WithoutOnPanicEndsTheProcess(t *testing.T) {
	if os.Getenv(harness.HelperEnv) != "" {
		w := harness.NewWheel(t, wheel.Config{})
		w.AfterFunc(time.Millisecond, func() { panicWith("nobody recovers this") })
		time.Sleep(30 * time.Second)
		return // and so exits with 0
	}
	out, err := harness.Helper(t, "panic").CombinedOutput()
	exit := new(exec.ExitError)
	require.ErrorAs(t, err, &exit, "%s", out)
	require.Equal(t, 2, exit.ExitCode(), "%s", out)
	require.Contains(t, string(out), "panic: nobody recovers this")
	require.Contains(t, string(out), "panicWith")
}

func TestGoexit_InACallbackKeepsTheCounts(t *testing.T) {
	for _, bound := range []int{1, 3} {
		onFakeTime(t, wheel.Config{MaxCallbacks: bound}, func(t *testing.T, w *wheel.Wheel) {
			var f firing
			for i := range 100 {
				d := time.Duration(i%2) * time.Second
				w.AfterFunc(d, func() { runtime.Goexit() })
				w.AfterFunc(d, f.on(w))
			}
			sleep(time.Minute)
			require.EqualValues(t, 100, f.runs.Load())
			require.Zero(t, w.Stats().Running)
			require.Zero(t, w.Stats().Waiting)

			gate, open := newGate(t)
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
