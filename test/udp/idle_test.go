package udp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

func TestOnIdle_AsksASilentPeerWhoseAnswerKeepsTheSession(t *testing.T) {
	for _, tt := range []struct {
		name            string
		warning, before time.Duration
	}{
		{"by default at half of the timeout", 0, 5 * time.Second},
		{"at IdleWarning before it", 3 * time.Second, 3 * time.Second},
		{"at half of it at the earliest", time.Hour, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const idle = 10 * time.Second
			srv := &udp.Server{
				IdleTimeout: idle, IdleWarning: tt.warning, Activity: udp.Received,
				OnIdle: func(s *udp.Session) { _ = s.Send([]byte("there?")) },
			}
			bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
				w.send(peerAddr, "hello")
				start := time.Now()
				for range 3 {
					require.Equal(t, "there?", (<-w.out).data)
					require.InDelta(t, idle-tt.before, time.Since(start), float64(50*time.Millisecond))
					time.Sleep(time.Second)
					w.send(peerAddr, "yes")
					start = time.Now()
				}
				require.Equal(t, pool.Timeout, <-e.closed)
				require.InDelta(t, idle, time.Since(start), float64(50*time.Millisecond))
				require.Len(t, w.out, 1, "it is asked once per period of idleness")
			})
		})
	}
}

func TestOnIdle_IsOffWhenIdleWarningIsNegative(t *testing.T) {
	srv := &udp.Server{IdleWarning: -1, OnIdle: func(*udp.Session) { panic("called") }}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send(peerAddr, "hello")
		require.Equal(t, pool.Timeout, <-e.closed)
	})
}

func TestOnIdle_RunsBesideNoOtherCallbackOfItsSession(t *testing.T) {
	var calls []string // unguarded: the race detector sees callbacks that are not serial
	srv := &udp.Server{
		IdleTimeout: 10 * time.Second,
		OnIdle: func(*udp.Session) {
			calls = append(calls, "idle")
			time.Sleep(time.Second)
			calls = append(calls, "asked")
		},
		OnMessage: func(s *udp.Session, p []byte) { calls = append(calls, string(p)) },
	}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send(peerAddr, "a")
		time.Sleep(5500 * time.Millisecond)
		w.send(peerAddr, "b")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"a", "idle", "asked", "b"}, calls)
	})
}

// occupied is a server whose only worker is taken by the peer 192.0.2.9:1 until the
// returned function is called. It must be called within a bubble.
func occupied(t *testing.T, srv *udp.Server, w *fakeSocket) (leave func()) {
	t.Helper()
	gate := make(chan struct{})
	srv.MaxCallbacks = 1
	handle := srv.OnMessage
	srv.OnMessage = func(s *udp.Session, p []byte) {
		if string(p) == "occupy" {
			<-gate
			return
		}
		handle(s, p)
	}
	serveUDP(t, srv, w)
	w.send(peerAddr, "hello")
	synctest.Wait()
	w.send("192.0.2.9:1", "occupy")
	synctest.Wait()
	return func() { close(gate) }
}

func TestOnIdle_IsNotCalledWhenADatagramHasComeMeanwhile(t *testing.T) {
	for _, activity := range []udp.Activity{udp.Received, udp.Sent} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			srv := &udp.Server{IdleTimeout: 10 * time.Second, Activity: activity}
			srv.OnIdle = func(s *udp.Session) {
				if s.RemoteAddr().String() == peerAddr {
					asked++
				}
			}
			e := watch(srv)
			w := newFakeSocket()
			leave := occupied(t, srv, w)
			time.Sleep(6 * time.Second) // OnIdle waits for the worker
			w.send(peerAddr, "yes")
			synctest.Wait()
			leave()
			synctest.Wait()
			require.Equal(t, "hello", <-e.messages)
			require.Equal(t, "yes", <-e.messages)
			if activity == udp.Sent {
				require.Equal(t, 1, asked, "what is received is no activity")
			} else {
				require.Zero(t, asked)
			}
		})
	}
}

func TestOnIdle_ThatHasToWaitComesBeforeTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan time.Time, 10)
		srv := &udp.Server{IdleTimeout: 10 * time.Second}
		srv.OnIdle = func(s *udp.Session) {
			if s.RemoteAddr().String() == peerAddr {
				asked <- time.Now()
			}
		}
		e := watch(srv)
		w := newFakeSocket()
		leave := occupied(t, srv, w)
		time.Sleep(time.Minute)
		require.Empty(t, e.closed)
		left := time.Now()
		leave()
		require.Equal(t, left, <-asked)
		<-e.closed
		require.InDelta(t, 10*time.Second, time.Since(left), float64(50*time.Millisecond))
	})
}

func TestOnIdle_IsNotCalledOnceTheSessionIsClosedOrShutdownHasBegun(t *testing.T) {
	for _, why := range []pool.Reason{"Kicked", pool.Shutdown} {
		synctest.Test(t, func(t *testing.T) {
			srv := &udp.Server{IdleTimeout: 10 * time.Second, OnIdle: func(*udp.Session) { panic("called") }}
			e := watch(srv)
			w := newFakeSocket()
			leave := occupied(t, srv, w)
			time.Sleep(6 * time.Second) // OnIdle waits for the worker
			if why == pool.Shutdown {
				go func() { _ = srv.Shutdown(t.Context()) }() // waited for by the cleanup's Shutdown
			} else {
				require.True(t, (<-e.opened).Close(why))
			}
			synctest.Wait()
			leave()
			require.Equal(t, why, <-e.closed)
			require.Empty(t, e.errors)
		})
	}
}

func TestOnIdle_MaySendWhatKeepsTheSessionThoughDatagramsCome(t *testing.T) {
	srv := &udp.Server{IdleTimeout: 10 * time.Second, Activity: udp.Sent, OnIdle: func(s *udp.Session) { _ = s.Send(nil) }}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		for range 600 {
			w.send(peerAddr, "x")
			time.Sleep(100 * time.Millisecond)
		}
		require.Empty(t, e.closed)
		require.InDelta(t, 12, len(w.out), 1)
	})
}
