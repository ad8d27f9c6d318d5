package udp_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

// Shutdown finds the session idle, but its run has to wait for the only worker, whose
// callback moves the session and so gives it datagrams.
func TestShutdown_HandlesWhatASessionIsGivenByRebindMeanwhile(t *testing.T) {
	for _, activity := range []udp.Activity{udp.ReceivedOrSent, udp.Sent} {
		synctest.Test(t, func(t *testing.T) {
			var session *udp.Session
			var handled []string
			gate := make(chan struct{})
			srv := &udp.Server{MaxCallbacks: 1, IdleTimeout: time.Minute, Activity: activity}
			srv.OnMessage = func(s *udp.Session, p []byte) {
				switch {
				case session == nil:
					session = s
				case s != session:
					<-gate
					require.NoError(t, session.Rebind(s.RemoteAddr()))
				default:
					handled = append(handled, string(p))
					time.Sleep(2 * time.Minute)
					_ = s.Send(nil)
				}
			}
			e := watch(srv)
			w := newFakeSocket()
			serveUDP(t, srv, w)
			w.send(peerAddr, "hello")
			synctest.Wait()
			for _, p := range []string{"named", "a", "b"} {
				w.send(newAddr, p)
			}
			synctest.Wait()
			down := startShutdown(t.Context(), srv)
			synctest.Wait()
			close(gate)
			require.NoError(t, <-down)
			require.Empty(t, e.errors)
			require.Equal(t, []string{"a", "b"}, handled)
			require.Equal(t, map[pool.Reason]uint64{pool.Replaced: 1, pool.Shutdown: 1}, srv.Stats().ByReason)
			require.Zero(t, srv.Stats().Late)
			require.Equal(t, netip.MustParseAddrPort(newAddr), session.RemoteAddr())
		})
	}
}
