package pool_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestShutdown_WaitsForEveryOnSessionClosed(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const sessions = 2000
		var told atomic.Int32
		start := time.Now()
		p := newPool(t, testConfig{
			IdleTimeout: time.Minute, OnDuplicate: pool.Replace,
			OnSessionClosed: func(s *testSession, r pool.Reason) {
				time.Sleep(time.Second)
				told.Add(1)
			},
		})
		for id := range sessions {
			mustRegister(t, p, id)
		}
		go p.CloseSession(0, "Kicked")
		mustRegister(t, p, 1) // the old one ends on a goroutine of its own
		synctest.Wait()
		require.NoError(t, p.Shutdown(t.Context()))
		require.EqualValues(t, sessions+1, told.Load())
		// 256 at once.
		require.GreaterOrEqual(t, time.Since(start), 8*time.Second)
		require.Less(t, time.Since(start), 9*time.Second)
		st := p.Stats()
		require.Equal(t, map[pool.Reason]uint64{
			"Kicked": 1, pool.Replaced: 1, pool.Shutdown: sessions - 1,
		}, st.ByReason)
		require.Zero(t, p.Len())
	})
}

func TestShutdown_WaitsForATimeoutThatIsUnderWay(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		told := false
		p := newPool(t, testConfig{IdleTimeout: time.Second, OnSessionClosed: func(*testSession, pool.Reason) {
			time.Sleep(time.Minute)
			told = true
		}})
		s := mustRegister(t, p, 1)
		time.Sleep(2 * time.Second)
		require.NoError(t, p.Shutdown(t.Context()))
		require.True(t, told)
		require.Equal(t, pool.Timeout, s.Reason())
	})
}

func TestShutdown_WaitsForOnNewSessionRegister(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var calls callLog
		p := newPool(t, testConfig{
			OnNewSessionRegister: func(*testSession) { time.Sleep(time.Minute); calls.add("new") },
			OnSessionClosed:      func(_ *testSession, r pool.Reason) { calls.add("closed %s", r) },
		})
		go p.Register(1, new(testConn)) //nolint:errcheck // the callbacks tell
		synctest.Wait()
		require.NoError(t, p.Shutdown(t.Context()))
		require.Equal(t, []string{"new", "closed Shutdown"}, calls.events)
	})
}

func TestShutdown_WhoseContextEndsLeavesTheRestToTheBackground(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		p := newPool(t, testConfig{})
		blocked, err := p.Register(1, &testConn{onClose: func() { <-gate }})
		require.NoError(t, err)
		other := mustRegister(t, p, 2)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = p.Shutdown(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "1 session")
		require.Equal(t, time.Minute, time.Since(start))
		require.True(t, hasEnded(other))
		require.Equal(t, pool.Shutdown, blocked.Reason())
		require.Zero(t, p.Len())
		require.False(t, blocked.Touch())
		_, err = p.Register(3, new(testConn))
		require.ErrorIs(t, err, pool.ErrPoolClosed)

		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, p.Shutdown(canceled), context.Canceled)

		// A further call waits as the first does.
		second := make(chan error, 1)
		go func() { second <- p.Shutdown(context.Background()) }()
		time.Sleep(time.Hour)
		require.Empty(t, second)
		close(gate)
		require.NoError(t, <-second)
		require.True(t, hasEnded(blocked))
		require.NoError(t, p.Shutdown(canceled), "all has ended")
	})
}

func TestShutdown_SeveralAtOnceCloseEachSessionOnce(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var told atomic.Int32
		p := newPool(t, testConfig{OnSessionClosed: func(*testSession, pool.Reason) { told.Add(1) }})
		for id := range 1000 {
			mustRegister(t, p, id)
		}
		errs := make(chan error)
		for range 8 {
			go func() {
				err := p.Shutdown(context.Background())
				if n := told.Load(); err == nil && n != 1000 {
					err = context.DeadlineExceeded
				}
				errs <- err
			}()
		}
		for range 8 {
			require.NoError(t, <-errs)
		}
		require.EqualValues(t, 1000, p.Stats().ByReason[pool.Shutdown])
	})
}

func TestShutdown_OfAnEmptyPoolReturnsAtOnce(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{})
		start := time.Now()
		require.NoError(t, p.Shutdown(t.Context()))
		require.NoError(t, p.Shutdown(t.Context()))
		require.Zero(t, time.Since(start))
	})
}

// Closing the connection of a peer that cannot be reached may block. When more of
// them block than Shutdown has goroutines, it returns with its context.
func TestShutdown_WithMoreBlockedClosesThanItRunsAtOnceGoesByItsContext(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		p := newPool(t, testConfig{})
		var sessions []*testSession
		for id := range 600 {
			s, err := p.Register(id, &testConn{onClose: func() { <-gate }})
			require.NoError(t, err)
			sessions = append(sessions, s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, p.Shutdown(ctx), context.DeadlineExceeded)
		require.Zero(t, p.Len())
		for _, s := range sessions {
			require.Equal(t, pool.Shutdown, s.Reason())
		}
		close(gate)
		require.NoError(t, p.Shutdown(t.Context()))
	})
}
