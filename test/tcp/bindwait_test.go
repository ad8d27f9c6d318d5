package tcp_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// slowGoodbye is a server whose OnSessionClosed takes a minute for the first session.
func slowGoodbye() *tcp.Server {
	return &tcp.Server{OnSessionClosed: func(s *tcp.Session, _ pool.Reason) {
		if s.ID() == 1 {
			time.Sleep(time.Minute)
		}
	}}
}

func TestBind_WaitsForTheLastCallbackOfTheSessionThatHadTheID(t *testing.T) {
	for name, end := range map[string]func(*tcp.Session){
		"replaced":       func(*tcp.Session) {},
		"closed already": func(s *tcp.Session) { s.Close("Kicked"); synctest.Wait() }, // with another reason
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := slowGoodbye()
				e := watch(srv)
				dial := harness.ListenMemory(t, srv)
				dial()
				first := harness.Next(t, e.opened)
				require.NoError(t, first.Bind(t.Context(), "ann", nil))
				end(first)
				dial()
				start := time.Now()
				second := harness.Next(t, e.opened)
				require.NoError(t, second.Bind(t.Context(), "ann", nil))
				require.Equal(t, time.Minute, time.Since(start))
				<-first.Done()
				s, ok := srv.Bound("ann")
				require.True(t, ok)
				require.Equal(t, second, s)
			})
		})
	}
}

func TestBind_WaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := slowGoodbye()
		e := watch(srv)
		dial := harness.ListenMemory(t, srv)
		dial()
		require.NoError(t, harness.Next(t, e.opened).Bind(t.Context(), "ann", nil))
		dial()
		second := harness.Next(t, e.opened)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, second.Bind(ctx, "ann", nil), context.DeadlineExceeded)
		require.Empty(t, second.Reason(), "it stays open")
		require.Empty(t, second.BoundID())
		_, ok := srv.Bound("ann")
		require.False(t, ok)
		time.Sleep(time.Minute)
		require.NoError(t, second.Bind(t.Context(), "ann", nil), "and may be bound again")
	})
}

func TestBind_OfASessionThatIsClosedWhileItWaitsReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := slowGoodbye()
		e := watch(srv)
		dial := harness.ListenMemory(t, srv)
		dial()
		require.NoError(t, harness.Next(t, e.opened).Bind(t.Context(), "ann", nil))
		dial()
		second := harness.Next(t, e.opened)
		start := time.Now()
		bound := make(chan error, 1)
		go func() { bound <- second.Bind(t.Context(), "ann", nil) }()
		synctest.Wait()
		require.True(t, second.Close("Kicked"))
		require.ErrorIs(t, harness.Next(t, bound), tcp.ErrSessionClosed)
		require.Zero(t, time.Since(start))
		<-second.Done()
		_, ok := srv.Bound("ann")
		require.False(t, ok)
		time.Sleep(time.Minute) // the first's last callback runs
	})
}

// The second is replaced while it waits for the first; the third waits for both.
func TestBind_WaitsForAllThatHadTheID(t *testing.T) {
	for name, ctx := range map[string]func(*tcp.Session) context.Context{
		"any context":           func(*tcp.Session) context.Context { return context.Background() },
		"the session's context": (*tcp.Session).Context,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := slowGoodbye()
				e := watch(srv)
				dial := harness.ListenMemory(t, srv)
				dial()
				start := time.Now()
				require.NoError(t, harness.Next(t, e.opened).Bind(t.Context(), "ann", nil))
				bound := make(chan error, 10)
				for range 3 {
					dial()
					s := harness.Next(t, e.opened)
					go func() { bound <- s.Bind(ctx(s), "ann", nil) }()
					synctest.Wait()
				}
				for range 2 {
					require.ErrorIs(t, <-bound, tcp.ErrSessionClosed)
				}
				require.Zero(t, time.Since(start))
				require.NoError(t, <-bound)
				require.Equal(t, time.Minute, time.Since(start))
			})
		})
	}
}

// A record that the callbacks keep is of the session that has the ID, whatever the earlier one
// ends for.
func TestBind_PresenceKeptByCallbacksIsRight(t *testing.T) {
	var (
		mu      sync.Mutex
		present = make(map[string]int64)
	)
	srv := &tcp.Server{
		OnMessage: func(s *tcp.Session, id []byte) {
			if s.Bind(context.Background(), string(id), nil) == nil {
				mu.Lock()
				present[s.BoundID()] = s.ID()
				mu.Unlock()
				_ = s.Post([]byte("ok\n"))
			}
		},
		OnSessionClosed: func(s *tcp.Session, _ pool.Reason) {
			mu.Lock()
			delete(present, s.BoundID())
			mu.Unlock()
		},
	}
	dial := harness.ListenTCP(t, srv)
	var last int64
	for i := range 200 {
		c := dial()
		harness.Write(t, c, "ann\n")
		harness.Read(t, c, "ok\n")
		s, ok := srv.Bound("ann")
		require.True(t, ok)
		last = s.ID()
		if i%2 == 0 {
			go s.Close("Kicked") // may come before or after the next takes the ID
		}
	}
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, map[string]int64{"ann": last}, present)
}
