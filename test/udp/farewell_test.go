package udp_test

import (
	"context"
	"net"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

func TestFarewell_TellsThePeerWhyItsSessionEnds(t *testing.T) {
	for _, tt := range []struct {
		why  pool.Reason
		life time.Duration
		end  func(*udp.Server, *udp.Session)
	}{
		{why: pool.Timeout},
		{why: pool.Lifetime, life: time.Second},
		{why: pool.Shutdown, end: func(srv *udp.Server, _ *udp.Session) { _ = srv.Shutdown(context.Background()) }},
		{why: "Kicked", end: func(_ *udp.Server, s *udp.Session) { s.Close("Kicked") }},
		{why: pool.Closed, end: func(_ *udp.Server, s *udp.Session) { s.Close("") }},
	} {
		t.Run(string(tt.why), func(t *testing.T) {
			var calls []string // unguarded: the race detector sees callbacks that are not serial
			srv := &udp.Server{MaxLifetime: tt.life}
			srv.OnMessage = func(s *udp.Session, p []byte) {
				time.Sleep(time.Millisecond)
				calls = append(calls, string(p))
			}
			srv.Farewell = func(s *udp.Session, r pool.Reason) []byte {
				calls = append(calls, "farewell")
				return []byte("bye: " + r)
			}
			srv.OnSessionClosed = func(s *udp.Session, r pool.Reason) { calls = append(calls, "closed "+string(r)) }
			bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
				w.send(peerAddr, "hello")
				s := <-e.opened
				if tt.end != nil {
					synctest.Wait() // in OnMessage
					tt.end(srv, s)
				}
				<-s.Done()
				p := <-w.out
				require.Equal(t, "bye: "+string(tt.why), p.data)
				require.Equal(t, peerAddr, p.addr.String())
				require.Empty(t, w.out)
				require.Equal(t, []string{"hello", "farewell", "closed " + string(tt.why)}, calls)
			})
		})
	}
}

func TestFarewell_IsNotForASessionWhoseCallbackCrashed(t *testing.T) {
	srv := &udp.Server{
		OnMessage: func(*udp.Session, []byte) { panic("boom") },
		Farewell:  func(*udp.Session, pool.Reason) []byte { return []byte("bye") },
	}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send(peerAddr, "hello")
		require.Equal(t, udp.ReasonPanic, <-e.closed)
		synctest.Wait()
		require.Empty(t, w.out)
	})
}

func TestFarewell_OfNilSendsNothingAndAnEmptyOneIsSent(t *testing.T) {
	for _, p := range [][]byte{nil, {}} {
		srv := &udp.Server{Farewell: func(*udp.Session, pool.Reason) []byte { return p }}
		bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
			w.send(peerAddr, "hello")
			require.Equal(t, pool.Timeout, <-e.closed)
			synctest.Wait()
			if p == nil {
				require.Empty(t, w.out)
			} else {
				require.Len(t, w.out, 1)
			}
		})
	}
}

func TestFarewell_ThatFailsIsReportedAndTheSessionEndsAllTheSame(t *testing.T) {
	tooLong := error(&net.OpError{Op: "write", Net: "udp", Err: syscall.EMSGSIZE})
	for _, tt := range []struct {
		name     string
		fail     *error
		farewell func(*udp.Session, pool.Reason) []byte
		check    func(t *testing.T, e serverEvents)
	}{
		{"a write that fails", &tooLong, func(*udp.Session, pool.Reason) []byte { return []byte("bye") }, func(t *testing.T, e serverEvents) {
			err := <-e.errors
			require.ErrorIs(t, err, udp.ErrWrite)
			require.ErrorIs(t, err, syscall.EMSGSIZE)
		}},
		{"a panic", nil, func(*udp.Session, pool.Reason) []byte { panic("boom") }, func(t *testing.T, e serverEvents) {
			var p *udp.PanicError
			require.ErrorAs(t, <-e.errors, &p)
		}},
		{"a Goexit", nil, func(*udp.Session, pool.Reason) []byte { runtime.Goexit(); return nil }, func(t *testing.T, e serverEvents) {
			require.ErrorIs(t, <-e.errors, udp.ErrGoexit)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := &udp.Server{MaxCallbacks: 1, Farewell: tt.farewell}
			bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
				w.fail.Store(tt.fail)
				for range 2 { // the one worker must not be lost
					w.send(peerAddr, "hello")
					tt.check(t, e)
					require.Equal(t, pool.Timeout, <-e.closed)
				}
			})
		})
	}
}

func TestSend_AfterACloseSendsNothing(t *testing.T) {
	for _, why := range []pool.Reason{"", "Kicked"} {
		var goOn chan struct{} // made in the bubble
		srv := &udp.Server{OnMessage: func(*udp.Session, []byte) { <-goOn }}
		bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
			goOn = make(chan struct{})
			w.send(peerAddr, "hello")
			s := <-e.opened
			synctest.Wait() // OnMessage runs, and OnSessionClosed waits for it
			require.NoError(t, s.Send([]byte("in time")))
			require.True(t, s.Close(why))
			require.ErrorIs(t, s.Send([]byte("late")), udp.ErrSessionClosed)
			close(goOn)
			synctest.Wait()
			require.ErrorIs(t, s.Send([]byte("later")), udp.ErrSessionClosed)
			require.Len(t, w.out, 1)
		})
	}
}
