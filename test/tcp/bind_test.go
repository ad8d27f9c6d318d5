package tcp_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestBind_TakesAnIDOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{}
		events := watch(srv)
		dial := harness.ListenMemory(t, srv)
		_, ok := srv.Bound("alice")
		require.False(t, ok)
		require.False(t, closeToken(srv, "alice", 0, "Bye"))

		dial()
		first := harness.Next(t, events.opened)
		require.Empty(t, first.BoundID())
		require.NoError(t, first.Bind(t.Context(), "alice", nil))
		require.Equal(t, "alice", first.BoundID())
		require.Zero(t, first.Token(), "there is no directory")
		require.ErrorIs(t, first.Bind(t.Context(), "bob", nil), tcp.ErrBound)

		dial()
		second := harness.Next(t, events.opened)
		require.NoError(t, second.Bind(t.Context(), "alice", nil))
		require.Equal(t, pool.Replaced, harness.Next(t, events.closed))
		synctest.Wait()
		got, ok := srv.Bound("alice")
		require.True(t, ok)
		require.Same(t, second, got, "the end of the first does not take the ID with it")

		second.Close("Bye")
		require.Equal(t, pool.Reason("Bye"), harness.Next(t, events.closed))
		synctest.Wait()
		_, ok = srv.Bound("alice")
		require.False(t, ok)
		require.ErrorIs(t, second.Bind(t.Context(), "alice", nil), tcp.ErrSessionClosed)
	})
}

func TestBind_GivesAnIDUpAfterTheLastCallbackAndNoEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := harness.NewDirectory[string]()
		var ended atomic.Int32
		srv := &tcp.Server{Directory: d, OnSessionClosed: func(s *tcp.Session, _ pool.Reason) {
			require.Equal(t, "alice", s.BoundID())
			require.NotZero(t, s.Token())
			time.Sleep(time.Minute)
			ended.Add(1)
		}}
		d.Evict = func(id string, token uint64) {
			require.False(t, closeToken(srv, id, token+1, pool.Replaced), "another token")
			require.True(t, closeToken(srv, id, token, pool.Replaced))
		}
		events := watch(srv)
		dial := harness.ListenMemory(t, srv)
		dial()
		first := harness.Next(t, events.opened)
		require.NoError(t, first.Bind(t.Context(), "alice", []byte("meta")))
		require.Equal(t, []string{"meta"}, d.Metas)
		dial()
		second := harness.Next(t, events.opened)
		require.NoError(t, second.Bind(t.Context(), "alice", nil))
		require.EqualValues(t, 1, ended.Load(), "Bind has waited for the first session's last callback")
		synctest.Wait() // the first ID is released when it is the second's already
		require.Equal(t, 1, d.Releases(1))
		require.EqualValues(t, 2, second.Token())

		second.Close("Bye")
		time.Sleep(time.Second)
		require.Zero(t, d.Releases(2), "its last callback runs")
		time.Sleep(time.Minute)
		require.Equal(t, 1, d.Releases(2))
		require.Zero(t, second.Token())
	})
}

func closeToken(srv *tcp.Server, id string, token uint64, r pool.Reason) bool {
	won, _ := srv.CloseToken(context.Background(), id, token, r)
	return won
}

func TestCloseToken_ClosesABoundSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := harness.NewDirectory[string]()
		srv := &tcp.Server{Directory: d}
		events := watch(srv)
		conn := harness.ListenMemory(t, srv)()
		s := harness.Next(t, events.opened)
		require.NoError(t, s.Bind(t.Context(), "alice", nil))
		require.True(t, closeToken(srv, "alice", s.Token(), "Kicked"))
		require.Equal(t, pool.Reason("Kicked"), harness.Next(t, events.closed))
		harness.WaitClosed(t, conn)
	})
}

// The session may be closed as soon as the ID is given, before Bind returns.
func TestCloseToken_ClosesASessionWhileItIsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := harness.NewDirectory[string]()
		srv := &tcp.Server{Directory: d}
		kicked := make(chan bool, 1)
		d.After = func(id string, token uint64) {
			go func() { kicked <- closeToken(srv, id, token, "Kicked") }()
			time.Sleep(time.Second)
		}
		events := watch(srv)
		harness.ListenMemory(t, srv)()
		s := harness.Next(t, events.opened)
		_ = s.Bind(t.Context(), "alice", nil) // which of the two comes first is open
		require.True(t, harness.Next(t, kicked))
		require.Equal(t, pool.Reason("Kicked"), harness.Next(t, events.closed))
		synctest.Wait() // the ID is released behind the last callback
		_, owned := d.State()
		require.Zero(t, owned)
	})
}

func TestBind_OfAClosedSessionTakesNoID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := harness.NewDirectory[string]()
		bound := make(chan error, 1)
		srv := &tcp.Server{Directory: d, OnMessage: func(s *tcp.Session, _ []byte) {
			s.Close("Bye")
			bound <- s.Bind(context.Background(), "alice", nil)
		}}
		conn := harness.ListenMemory(t, srv)()
		harness.Write(t, conn, "login\n")
		require.ErrorIs(t, harness.Next(t, bound), tcp.ErrSessionClosed)
		claimed, _ := d.State()
		require.Zero(t, claimed)
	})
}

func TestBind_ThatIsRefusedLeavesTheSessionOpenToTryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := harness.NewDirectory[string]()
		d.Refuse = errors.New("isolated")
		srv := &tcp.Server{Directory: d}
		events := watch(srv)
		harness.ListenMemory(t, srv)()
		s := harness.Next(t, events.opened)
		require.Equal(t, d.Refuse, s.Bind(t.Context(), "alice", nil))
		require.Empty(t, s.BoundID())
		d.Refuse = nil
		require.NoError(t, s.Bind(t.Context(), "alice", nil))
		require.Empty(t, events.closed)
	})
}

func TestBind_OfASessionThatEndsMeanwhileKeepsNoID(t *testing.T) {
	for _, refuse := range []error{nil, errors.New("isolated")} {
		synctest.Test(t, func(t *testing.T) {
			d := harness.NewDirectory[string]()
			claiming := make(chan struct{})
			d.Before = func() { <-claiming }
			d.Refuse = refuse
			srv := &tcp.Server{Directory: d}
			events := watch(srv)
			conn := harness.ListenMemory(t, srv)()
			s := harness.Next(t, events.opened)
			bound := make(chan error, 1)
			go func() { bound <- s.Bind(t.Context(), "alice", nil) }()
			synctest.Wait()
			require.NoError(t, conn.Close())
			harness.Next(t, events.closed)
			synctest.Wait()
			close(claiming)
			require.ErrorIs(t, harness.Next(t, bound), tcp.ErrSessionClosed)
			synctest.Wait()
			_, owned := d.State()
			require.Zero(t, owned)
			_, ok := srv.Bound("alice")
			require.False(t, ok)
			require.ErrorIs(t, s.Bind(t.Context(), "alice", nil), tcp.ErrSessionClosed)
			claimed, _ := d.State()
			require.Equal(t, 1, claimed, "a session that is closed claims nothing")
		})
	}
}

func TestBind_ShutdownGivesUpAllIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := harness.NewDirectory[string]()
		srv := &tcp.Server{Directory: d}
		events := watch(srv)
		dial := harness.ListenMemory(t, srv)
		for i := range 20 {
			dial()
			require.NoError(t, harness.Next(t, events.opened).Bind(t.Context(), fmt.Sprint(i), nil))
		}
		require.NoError(t, srv.Shutdown(t.Context()))
		_, owned := d.State()
		require.Zero(t, owned)
	})
}

func TestBind_GivesNoIDOnceTheServerIsClosing(t *testing.T) {
	for _, before := range []bool{false, true} { // whether another session has the ID already
		synctest.Test(t, func(t *testing.T) {
			d := harness.NewDirectory[string]()
			srv := &tcp.Server{Directory: d}
			late := make(chan error, 1)
			busy := make(chan struct{})
			srv.OnMessage = func(s *tcp.Session, _ []byte) {
				<-busy
				late <- s.Bind(context.Background(), "late", nil)
			}
			events := watch(srv)
			dial := harness.ListenMemory(t, srv)
			if before {
				dial()
				require.NoError(t, harness.Next(t, events.opened).Bind(t.Context(), "early", nil))
			}
			conn := dial()
			harness.Next(t, events.opened)
			harness.Write(t, conn, "login\n")
			synctest.Wait()
			shut := make(chan error, 1)
			go func() { shut <- srv.Shutdown(context.Background()) }()
			synctest.Wait()
			close(busy) // its session is still open, and drains
			require.ErrorIs(t, harness.Next(t, late), tcp.ErrServerClosed)
			require.NoError(t, harness.Next(t, shut))
			_, owned := d.State()
			require.Zero(t, owned)
		})
	}
}

// Sessions of two servers that share a directory log in under few IDs, from their
// callbacks.
func TestBind_ContendedLoginsLeaveOneSessionForEachID(t *testing.T) {
	const ids, clients, logins = 4, 6, 40
	d := harness.NewDirectory[string]()
	var mu sync.Mutex
	live := make(map[string]int)
	doubles := 0
	var servers [2]*tcp.Server
	var dials [2]func() net.Conn
	for i := range servers {
		servers[i] = &tcp.Server{
			Directory: d,
			OnMessage: func(s *tcp.Session, id []byte) {
				if err := s.Bind(context.Background(), string(id), nil); err != nil {
					s.Close("Refused")
					return
				}
				mu.Lock()
				if live[string(id)]++; live[string(id)] > 1 {
					doubles++
				}
				mu.Unlock()
				s.SetValue(string(id))
				_ = s.Send([]byte("welcome\n")) // its client may be gone
			},
			OnSessionClosed: func(s *tcp.Session, _ pool.Reason) {
				if id, ok := s.Value().(string); ok {
					mu.Lock()
					live[id]--
					mu.Unlock()
				}
			},
		}
		dials[i] = harness.ListenTCP(t, servers[i])
	}
	d.Evict = func(id string, token uint64) {
		for _, srv := range servers {
			closeToken(srv, id, token, pool.Replaced)
		}
	}
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range logins {
				conn := dials[rand.N(2)]()
				_, _ = fmt.Fprintf(conn, "id%d\n", rand.N(ids))
				if rand.N(2) == 0 {
					_, _ = conn.Read(make([]byte, 8))
				}
				_ = conn.Close()
			}
		})
	}
	all.Wait()
	for _, srv := range servers {
		require.NoError(t, srv.Shutdown(t.Context()))
	}
	require.Zero(t, doubles, "logins while another session had the ID")
	claimed, owned := d.State()
	require.Zero(t, owned)
	require.Positive(t, claimed)
	for token, n := range d.Released {
		require.Equal(t, 1, n, "token %d", token)
	}
}
