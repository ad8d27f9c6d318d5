package wheel_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// backlog is a wheel with one place, taken by a callback that blocks, and many
// more due timers than may wait for it.
type backlog struct {
	w      *wheel.Wheel
	timers []*wheel.Timer
	ran    atomic.Int64
	free   chan struct{} // closed to end the callback that blocks
}

func newBacklog(t *testing.T, n int) *backlog {
	t.Helper()
	w, err := wheel.New(wheel.Config{MaxCallbacks: 1})
	require.NoError(t, err)
	b := &backlog{w: w, free: make(chan struct{})}
	w.AfterFunc(time.Millisecond, func() { <-b.free })
	for range n {
		b.timers = append(b.timers, w.AfterFunc(time.Second, func() { b.ran.Add(1) }))
	}
	time.Sleep(2 * time.Second)
	synctest.Wait()
	return b
}

func TestBacklog_LeavesWhatIsDueBeyondItPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 20_000
		b := newBacklog(t, n)
		defer b.w.Close()
		st := b.w.Stats()
		require.Equal(t, 1, st.Running)
		require.Positive(t, st.Waiting)
		require.Less(t, st.Waiting, n/4, "those that wait for a place are bounded")
		require.Equal(t, n, st.Waiting+st.Pending)
		require.Equal(t, st.Pending, b.w.Len())

		// One that is pending can still be stopped and extended.
		stopped, extended := 0, 0
		for i, timer := range b.timers {
			if i%2 == 0 && timer.Stop() {
				stopped++
			} else if i%2 == 1 && timer.Extend(time.Hour) {
				extended++
			}
		}
		require.Equal(t, st.Pending, stopped+extended)

		close(b.free)
		synctest.Wait()
		require.Equal(t, int64(n-stopped-extended), b.ran.Load(), "what waited and nothing else has run")
		require.Equal(t, extended, b.w.Len())
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		require.Equal(t, int64(n-stopped), b.ran.Load())
		require.Zero(t, b.w.Len())
	})
}

func TestBacklog_IsWorkedOffAndIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 20_000
		b := newBacklog(t, n)
		defer b.w.Close()
		time.Sleep(time.Minute)
		close(b.free)
		synctest.Wait()
		require.Equal(t, int64(n), b.ran.Load())
		require.Equal(t, wheel.Stats{Fired: n + 1, Moved: b.w.Stats().Moved}, countsOf(b.w))
		from, to := b.w.LastStall()
		require.Zero(t, to-from, "a stall that was none: the callbacks were late, not the wheel")
	})
}

func TestBacklog_DoesNotKeepAWheelFromClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog(t, 20_000)
		b.w.Close()
		require.Zero(t, b.w.Len())
		close(b.free)
		synctest.Wait()
		require.Zero(t, b.ran.Load(), "callbacks that ran after Close")
	})
}

func TestCallbacks_ThatDoNotBlockNeedFewGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, places = 5000, 512
		w, err := wheel.New(wheel.Config{MaxCallbacks: places})
		require.NoError(t, err)
		defer w.Close()
		var ran, most atomic.Int64
		for range n {
			w.AfterFunc(time.Second, func() {
				if ran.Add(1)%100 == 0 {
					most.Store(max(most.Load(), int64(w.Stats().Running)))
				}
			})
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, int64(n), ran.Load())
		require.Positive(t, most.Load())
		require.Less(t, most.Load(), int64(places/4))
	})
}
