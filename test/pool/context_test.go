package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// requireCancelled checks that a session's context, or one made from it, was
// cancelled because the session was closed for that reason.
func requireCancelled(t *testing.T, ctx context.Context, r pool.Reason) {
	t.Helper()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	var closed *pool.ClosedError
	require.ErrorAs(t, context.Cause(ctx), &closed)
	require.Equal(t, r, closed.Reason)
	require.ErrorContains(t, closed, string(r))
}

// The connection's Close blocks: the session begins to close and does not end.
func TestContext_IsCancelledWhenTheSessionBeginsToClose(t *testing.T) {
	for _, cause := range closeCauses {
		t.Run(string(cause.reason), func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				p := newPool(t, testConfig{IdleTimeout: poolIdle, MaxLifetime: poolLife, OnDuplicate: pool.Replace})
				gate := make(chan struct{})
				defer close(gate)
				var s *testSession
				inPool := false // when the connection was closed
				s, err := p.Register(1, &testConn{onClose: func() {
					got, _ := p.Get(1)
					inPool = got == s
					<-gate
				}})
				require.NoError(t, err)
				ctx := s.Context()
				require.True(t, ctx == s.Context(), "there is one")
				derived, cancel := context.WithTimeout(ctx, 100*time.Hour)
				defer cancel()
				require.NoError(t, derived.Err())
				go cause.end(p, s)
				time.Sleep(2 * poolLife)
				synctest.Wait()
				require.False(t, hasEnded(s), "its connection is still being closed")
				require.False(t, inPool)
				requireCancelled(t, ctx, cause.reason)
				requireCancelled(t, derived, cause.reason)
				requireCancelled(t, s.Context(), cause.reason)
			})
		})
	}
}

func TestContext_ThatIsAskedForAfterTheCloseIsCancelled(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		p := newPool(t, testConfig{})
		s, err := p.Register(1, &testConn{onClose: func() { <-gate }})
		require.NoError(t, err)
		go s.Close("Bye")
		synctest.Wait()
		requireCancelled(t, s.Context(), "Bye") // while it closes
		close(gate)
		<-s.Done()
		requireCancelled(t, s.Context(), "Bye")

		s = mustRegister(t, p, 2)
		require.True(t, s.Close("")) // it has ended
		requireCancelled(t, s.Context(), pool.Closed)
	})
}

// Waiting for Done there would deadlock.
func TestContext_LetsOnSessionClosedWaitForTheSessionsWork(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var finished [3]chan struct{}
		for id := range finished {
			finished[id] = make(chan struct{})
		}
		p := newPool(t, testConfig{
			IdleTimeout:     poolIdle,
			OnSessionClosed: func(s *testSession, _ pool.Reason) { <-finished[s.ID()] },
		})
		for id := range finished {
			s := mustRegister(t, p, id)
			go func() {
				defer close(finished[id])
				<-s.Context().Done()
			}()
		}
		synctest.Wait()
		require.True(t, p.CloseSession(0, "Bye"))
		time.Sleep(poolIdle + harness.Tick)
		synctest.Wait()
		require.NoError(t, p.Shutdown(t.Context()))
	})
}
