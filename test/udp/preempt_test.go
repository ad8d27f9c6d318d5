//go:build preempt

package udp_test

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

// onceAt calls f the next time a goroutine comes to a point. Then the other points
// may be set by f.
func onceAt(t *testing.T, point string, f func()) {
	t.Helper()
	var done atomic.Bool
	preempt.Set(func(at string) {
		if at == point && !done.Swap(true) {
			f()
		}
	})
	t.Cleanup(func() { preempt.Set(nil) })
}

// twoSessions calls f with a session of peerAddr and one of newAddr, in a bubble.
func twoSessions(t *testing.T, srv *udp.Server, f func(t *testing.T, w *fakeSocket, e serverEvents, s, newcomer *udp.Session)) {
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send(peerAddr, "hello")
		s := <-e.opened
		w.send(newAddr, "hello")
		newcomer := <-e.opened
		synctest.Wait()
		for len(e.messages) > 0 {
			<-e.messages
		}
		f(t, w, e, s, newcomer)
	})
}

func TestPreempt_ADatagramWhoseAddressIsTakenMeanwhileGoesToTheSessionThatHasIt(t *testing.T) {
	for _, stage := range []string{"moved", "the other one closed", "the other one closed before"} {
		var got *udp.Session // written by one session's callback
		srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) {
			if string(p) == "mine" {
				got = s
			}
		}}
		twoSessions(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents, s, newcomer *udp.Session) {
			why, goOn, moved := pool.Replaced, make(chan struct{}), make(chan struct{})
			preempt.Set(func(at string) {
				switch at {
				case "deliver: the address is looked up":
					if s.RemoteAddr().String() == newAddr {
						return // it is looked up again
					}
					if stage == "the other one closed before" {
						why = "Kicked"
						newcomer.Close(why)
					}
					returned := make(chan struct{})
					go func() { // ends when goOn is closed
						defer close(returned)
						if err := s.Rebind(netip.MustParseAddrPort(newAddr)); err != nil {
							t.Error(err)
						}
					}()
					<-moved
					if stage != "moved" {
						<-returned
					}
				case "rebind: the session is moved":
					close(moved)
					if stage == "moved" {
						<-goOn
					}
				}
			})
			defer preempt.Set(nil)
			w.send(newAddr, "mine")
			synctest.Wait()
			require.Same(t, s, got, stage)
			close(goOn)
			require.Equal(t, why, <-e.closed)
			synctest.Wait()
			require.EqualValues(t, 2, srv.Stats().Registered)
		})
	}
}

func TestPreempt_ANewSessionGivesWayToOneThatIsMovedThereMeanwhile(t *testing.T) {
	srv := &udp.Server{MaxSessionsPerIP: 1, Farewell: func(*udp.Session, pool.Reason) []byte { return []byte("bye") }}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send(peerAddr, "hello")
		s := <-e.opened
		onceAt(t, "begin: the session is registered", func() {
			require.NoError(t, s.Rebind(netip.MustParseAddrPort(newAddr)))
		})
		w.send(newAddr, "first")
		require.Equal(t, pool.Replaced, <-e.closed)
		require.Empty(t, w.out, "a farewell would go to the session's peer")
		require.NoError(t, s.Send(nil))
		require.Equal(t, newAddr, (<-w.out).addr.String())
		require.Equal(t, 1, srv.Stats().Sessions)
	})
}

func TestPreempt_ASessionThatIsMovedToANewAddressMeanwhileKeepsIt(t *testing.T) {
	srv := &udp.Server{}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send(peerAddr, "hello")
		s := <-e.opened
		onceAt(t, "deliver: the address is looked up", func() { // and there is no session
			require.NoError(t, s.Rebind(netip.MustParseAddrPort(newAddr)))
		})
		w.send(newAddr, "mine")
		synctest.Wait()
		require.EqualValues(t, 1, srv.Stats().Registered)
		require.EqualValues(t, 2, srv.Stats().Handled)
	})
}

// Rebind has seen that the session is open when it is closed, and the close has come
// to each of its points.
func TestPreempt_ASessionThatIsClosedMeanwhileIsNotMoved(t *testing.T) {
	const (
		closed  = "closed while OnMessage runs"
		dropped = "its pending datagrams dropped, and the address still taken"
		ended   = "ended, and the address still taken"
	)
	for _, stage := range []string{closed, dropped, ended} {
		t.Run(stage, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate, newcomersGate, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{})
				srv := &udp.Server{MaxSessionsPerIP: 1}
				srv.OnMessage = func(s *udp.Session, p []byte) {
					switch string(p) {
					case "block":
						<-gate
					case "block the newcomer":
						<-newcomersGate
					}
				}
				e := watch(srv)
				w := newFakeSocket()
				serveUDP(t, srv, w) // and checks at the end that each datagram is counted
				w.send(peerAddr, "block")
				s := <-e.opened
				w.send(newAddr, "block the newcomer")
				newcomer := <-e.opened
				w.send(newAddr, "pending")
				synctest.Wait()

				var closing, ending atomic.Bool
				preempt.Set(func(at string) {
					switch at {
					case "transport: the session is closed":
						if !closing.Swap(true) && stage != closed {
							<-goOn
						}
					case "end: what was pending is dropped":
						if !ending.Swap(true) && stage == dropped {
							<-goOn
						}
					case "rebind: the session is open":
						go s.Close("Kicked") // ends when goOn is closed; the cleanup's Shutdown waits for the session
						synctest.Wait()
						if stage != closed {
							close(gate)
							synctest.Wait()
						}
					}
				})
				defer preempt.Set(nil)
				err := s.Rebind(netip.MustParseAddrPort(newAddr))
				close(goOn)
				if stage == closed {
					close(gate)
				}
				if stage == dropped {
					require.NoError(t, err, "it is as if it was closed just after that")
				} else {
					require.ErrorIs(t, err, udp.ErrSessionClosed)
					require.Empty(t, newcomer.Reason())
				}
				close(newcomersGate)
				newcomer.Close("done")
				synctest.Wait()
				preempt.Set(nil)
				for _, addr := range []string{peerAddr, newAddr} { // both places and both addresses are free
					w.send(addr, "again")
					require.Equal(t, addr, (<-e.opened).RemoteAddr().String())
				}
			})
		})
	}
}

// The last run of a session has found that nothing is to be done when Shutdown comes,
// which leaves the session to that run, because it is not over.
func TestPreempt_ShutdownAtTheEndOfARunIsNotMissed(t *testing.T) {
	srv := &udp.Server{}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		down := make(chan error, 1)
		onceAt(t, "finish: the session need not be closed", func() {
			go func() { down <- srv.Shutdown(t.Context()) }() // waited for below
			synctest.Wait()
		})
		w.send(peerAddr, "hello")
		require.NoError(t, <-down)
		require.Equal(t, pool.Shutdown, <-e.closed)
	})
}
