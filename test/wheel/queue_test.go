package wheel_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// mostWaiting is what a wheel lets wait for a place at most: some 2,000, and what
// one look at a shard may add to them.
const mostWaiting = 4000

func TestBacklog_OfTimersThatAreDueWhenArmedIsBounded(t *testing.T) {
	t.Parallel() // beside tests that wait for their processes
	onFakeTime(t, wheel.Config{MaxCallbacks: 1}, func(t *testing.T, w *wheel.Wheel) {
		const n = 100_000
		gate, open := newGate(t)
		w.AfterFunc(0, func() { <-gate })
		synctest.Wait()
		var f firing
		timers := make([]wheel.Timer, n)
		for i := range timers {
			timers[i].Init(w, f.on(w))
			require.False(t, timers[i].Reset(0))
			require.Less(t, w.Stats().Waiting, mostWaiting)
		}
		sleep(time.Minute)
		st := w.Stats()
		require.Less(t, st.Waiting, mostWaiting)
		require.Equal(t, n, st.Waiting+st.Pending)
		require.Zero(t, f.runs.Load())
		open()
		synctest.Wait()
		require.EqualValues(t, n, f.runs.Load())
		require.Zero(t, w.Len())
		require.Zero(t, w.Stats().Waiting)
	})
}

func TestBacklog_OfOneTimerThatIsArmedAgainAndAgainIsBounded(t *testing.T) {
	t.Parallel() // beside tests that wait for their processes
	onFakeTime(t, wheel.Config{MaxCallbacks: 1}, func(t *testing.T, w *wheel.Wheel) {
		const n = 1_000_000
		gate, open := newGate(t)
		w.AfterFunc(0, func() { <-gate })
		synctest.Wait()
		var f firing
		var timer wheel.Timer
		timer.Init(w, f.on(w))
		pending := 0 // how often the arming before had not fired yet
		for i := range n {
			if timer.Reset(0) {
				pending++
			}
			if i%300 == 0 {
				synctest.Wait() // it has fired, or will not while nothing goes on
			}
		}
		sleep(time.Minute)
		require.Less(t, w.Stats().Waiting, mostWaiting)
		open()
		synctest.Wait()
		require.EqualValues(t, n-pending, f.runs.Load(), "each arming ends once")
		require.Less(t, f.runs.Load(), int64(mostWaiting))
		require.Zero(t, w.Len())
	})
}

// What is armed while the driver waits for callbacks to end was not due then.
func TestLastStall_IsZeroWhenSomethingIsArmedInABacklog(t *testing.T) {
	for name, armed := range map[string]time.Duration{"an hour ahead": time.Hour, "soon": 10 * time.Second, "at once": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 20_000
				b := newBacklog(t, n)
				defer b.w.Close()
				sleep(time.Minute)
				var f firing
				b.w.AfterFunc(armed, f.on(b.w))
				sleep(time.Minute)
				close(b.free)
				synctest.Wait()
				require.EqualValues(t, n, b.ran.Load())
				sleep(2 * time.Hour)
				require.EqualValues(t, 1, f.runs.Load())
				from, to := b.w.LastStall()
				require.Equal(t, []time.Duration{0, 0}, []time.Duration{from, to}, "a backlog is no stall")
			})
		})
	}
}
