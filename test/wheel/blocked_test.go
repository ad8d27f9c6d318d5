package wheel_test

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// Of the others some panic, some end their goroutine, some arm a timer that fires
// at once, and some stop another timer.
func TestCallbacks_FortyThatBlockForEverDelayNoneOfThreeThousand(t *testing.T) {
	const blocked, others, tick = 40, 3000, 10 * time.Millisecond
	var panics atomic.Int64
	onFakeTime(t, wheel.Config{OnPanic: func(any, []byte) { panics.Add(1) }}, func(t *testing.T, w *wheel.Wheel) {
		gate, open := newGate(t)
		var stuck, ran, late atomic.Int64
		for i := range blocked { // half of them together, half one after the other
			w.AfterFunc(time.Duration(1+i%2*i)*time.Second/2, func() { stuck.Add(1); <-gate })
		}
		spare := make([]*wheel.Timer, others)
		for i := range others {
			spare[i] = w.AfterFunc(time.Hour, func() { late.Add(1) })
			d := time.Second/2 + rand.N(30*time.Second)
			due := w.Elapsed() + d
			w.AfterFunc(d, func() {
				ran.Add(1)
				if at := w.Elapsed(); at < due || at >= due+tick {
					late.Add(1)
				}
				spare[i].Stop()
				switch i % 4 {
				case 0:
					panic("in a callback")
				case 1:
					runtime.Goexit()
				case 2:
					now := w.Elapsed()
					w.AfterFunc(0, func() {
						ran.Add(1)
						if w.Elapsed() != now {
							late.Add(1)
						}
					})
				}
			})
		}
		sleep(31 * time.Second)
		require.EqualValues(t, blocked, stuck.Load())
		require.EqualValues(t, others+others/4, ran.Load())
		require.EqualValues(t, others/4, panics.Load())
		require.Zero(t, late.Load())
		st := w.Stats()
		require.Equal(t, blocked, st.Running)
		require.Zero(t, st.Waiting)
		require.Zero(t, st.Pending)
		open()
		synctest.Wait()
		require.Zero(t, w.Stats().Running)
	})
}

// Each place that becomes free is taken, even if its callback panicked or ended
// its goroutine.
func TestCallbacks_ThatWaitRunHoweverAPlaceBecomesFree(t *testing.T) {
	const bound, waiting = 3, 300
	onFakeTime(t, wheel.Config{MaxCallbacks: bound, OnPanic: func(any, []byte) {}}, func(t *testing.T, w *wheel.Wheel) {
		gate := make(chan func())
		for range bound {
			w.AfterFunc(time.Second, func() { (<-gate)() })
		}
		sleep(time.Second)
		var ran atomic.Int64
		for i := range waiting {
			w.AfterFunc(time.Duration(i/100)*time.Second, func() {
				ran.Add(1)
				(<-gate)()
			})
		}
		sleep(time.Minute)
		require.Zero(t, ran.Load())
		require.Equal(t, bound, w.Stats().Running)
		require.Equal(t, waiting, w.Stats().Waiting)
		ends := []func(){func() {}, func() { panic("in a callback") }, runtime.Goexit, func() { w.AfterFunc(time.Hour, func() {}).Stop() }}
		for i := range waiting {
			gate <- ends[i%len(ends)]
			synctest.Wait()
			require.EqualValues(t, i+1, ran.Load())
			require.Equal(t, bound, w.Stats().Running)
			require.Equal(t, waiting-i-1, w.Stats().Waiting)
		}
		for range bound {
			gate <- func() {}
		}
		synctest.Wait()
		require.Zero(t, w.Stats().Running)
	})
}

// A callback closes the wheel when no place is free.
func TestClose_FromTheCallbackThatFillsTheWheel(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 2}, func(t *testing.T, w *wheel.Wheel) {
		gate, open := newGate(t)
		var dropped atomic.Int64
		w.AfterFunc(time.Second, func() { <-gate })
		w.AfterFunc(2*time.Second, func() {
			time.Sleep(time.Minute) // while others come due
			w.Close()
		})
		for range 100 {
			w.AfterFunc(3*time.Second, func() { dropped.Add(1) })
		}
		sleep(10 * time.Second)
		require.Equal(t, 100, w.Stats().Waiting)
		sleep(time.Hour)
		require.Zero(t, w.Stats().Waiting)
		require.Equal(t, 1, w.Stats().Running)
		open()
		sleep(time.Hour)
		require.Zero(t, dropped.Load())
		require.Zero(t, w.Stats().Running)
	})
}
