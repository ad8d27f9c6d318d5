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
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestTimeout_ThatWaitsForAPlaceLeavesItsSessionOpen(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		w, err := wheel.New(wheel.Config{MaxCallbacks: 2})
		require.NoError(t, err)
		t.Cleanup(w.Close)
		gate := make(chan struct{})
		var calls callLog
		start := time.Now()
		p := newPool(t, testConfig{Wheel: w, IdleTimeout: time.Second, OnSessionClosed: func(s *testSession, r pool.Reason) {
			calls.add("%d: %s after %v", s.ID(), r, time.Since(start).Round(time.Second))
		}})
		for id := range 2 {
			_, err := p.Register(id, &testConn{onClose: func() { <-gate }})
			require.NoError(t, err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		touched, kicked, waits := mustRegister(t, p, 2), mustRegister(t, p, 3), mustRegister(t, p, 4)
		time.Sleep(time.Minute)
		synctest.Wait()
		st := w.Stats()
		require.Equal(t, 2, st.Running)
		require.Equal(t, 3, st.Waiting)
		require.Equal(t, 3, p.Len())
		for _, s := range []*testSession{touched, kicked, waits} {
			require.Empty(t, s.Reason())
		}
		require.True(t, touched.Touch())
		require.True(t, kicked.Close("Kicked"))
		close(gate)
		synctest.Wait()
		require.Equal(t, pool.Timeout, waits.Reason())
		require.True(t, hasEnded(waits))
		require.Empty(t, touched.Reason(), "its touch keeps it")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.ElementsMatch(t, []string{
			"3: Kicked after 1m1s", "0: Timeout after 1m1s", "1: Timeout after 1m1s", "4: Timeout after 1m1s", "2: Timeout after 1m2s",
		}, calls.events)
	})
}

// More sessions time out and block than the pool's wheel has places. Shutdown
// closes those that wait for a place itself.
func TestShutdown_ClosesTheSessionsWhoseTimeoutsWaitForAPlace(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const sessions, places = 300, 256
		gate := make(chan struct{})
		var told atomic.Int64
		p := newPool(t, testConfig{IdleTimeout: time.Second, OnSessionClosed: func(*testSession, pool.Reason) { told.Add(1) }})
		var all [sessions]atomic.Pointer[testSession]
		for id := range all {
			s, err := p.Register(id, &testConn{onClose: func() {
				if all[id].Load().Reason() == pool.Timeout {
					<-gate
				}
			}})
			require.NoError(t, err)
			all[id].Store(s)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, sessions-places, p.Len())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, p.Shutdown(ctx), context.DeadlineExceeded)
		require.Zero(t, p.Len())
		require.EqualValues(t, sessions-places, told.Load())
		require.Equal(t, map[pool.Reason]uint64{pool.Timeout: places, pool.Shutdown: sessions - places}, p.Stats().ByReason)
		close(gate)
		require.NoError(t, p.Shutdown(t.Context()))
		require.EqualValues(t, sessions, told.Load())
	})
}

// A hundred sessions time out at once. The callback of each closes the wheel,
// has the pool shut down, and panics.
func TestShutdown_AtTheWordOfACallback(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const sessions = 100
		w := harness.NewWheel(t, wheel.Config{})
		var told, panics atomic.Int64
		down := make(chan error, sessions)
		var p *testPool
		p = newPool(t, testConfig{
			Wheel: w, IdleTimeout: time.Second,
			OnSessionClosed: func(*testSession, pool.Reason) {
				told.Add(1)
				w.Close()
				go func() { down <- p.Shutdown(context.Background()) }()
				panic("in OnSessionClosed")
			},
			OnPanic: func(any, []byte) { panics.Add(1) },
		})
		for id := range sessions {
			mustRegister(t, p, id)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.EqualValues(t, sessions, told.Load())
		require.EqualValues(t, sessions, panics.Load())
		for range sessions {
			require.NoError(t, <-down)
		}
		st := p.Stats()
		require.EqualValues(t, sessions, st.ByReason[pool.Timeout]+st.ByReason[pool.Shutdown])
	})
}
