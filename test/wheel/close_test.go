package wheel_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestClose_EndsEveryArmingAndWaitsForNoCallback(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 2}, func(t *testing.T, w *wheel.Wheel) {
		gate, open := newGate(t)
		var f firing
		for range 50 {
			w.AfterFunc(0, func() { f.runs.Add(1); <-gate })
		}
		stopped := w.AfterFunc(time.Hour, f.on(w))
		stopped.Stop()
		fired := w.AfterFunc(time.Second, f.on(w)) // waits for a place
		pending := w.AfterFunc(time.Hour, f.on(w))
		forever := w.AfterFunc(longest, f.on(w))
		sleep(time.Minute)
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
			for _, d := range []time.Duration{0, 1, time.Second, longest, -1} {
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
		sleep(2 * time.Hour)
		require.EqualValues(t, 2, f.runs.Load(), "none that waited, none that was pending, none since")
		require.Zero(t, w.Stats().Running)
	})
}

func TestClose_FromACallback(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 1}, func(t *testing.T, w *wheel.Wheel) {
		var f, later firing
		for range 10 {
			w.AfterFunc(time.Second, func() {
				w.Close()
				f.runs.Add(1)
				w.Close()
				w.AfterFunc(0, later.on(w))
			})
		}
		w.AfterFunc(2*time.Second, later.on(w))
		sleep(time.Minute)
		require.EqualValues(t, 1, f.runs.Load())
		require.Zero(t, later.runs.Load())
	})
}

// It closes in the millisecond in which one of the library's upper levels comes up,
// which is at multiples of 61 of the wall clock. The library's Stop then hangs
// easily: goroutines stay behind, and the bubble reports a deadlock.
func TestClose_WhileTheLibraryTurns(t *testing.T) {
	t.Parallel() // beside tests that wait for their processes
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
