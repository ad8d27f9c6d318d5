package udp_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/udp"
)

// Ten peers always have datagrams pending, each of which takes a millisecond. While
// they are handled, the datagram of a quiet peer must not wait for whole queues.
func TestFairness_AQuietPeerWaitsForAMillisecondOfEachBusyOne(t *testing.T) {
	const busy, pending = 10, 64
	srv := &udp.Server{
		MaxCallbacks: 1,
		OnMessage: func(s *udp.Session, p []byte) {
			if string(p) == "quiet" {
				echo(s, p)
				return
			}
			time.Sleep(time.Millisecond)
		},
	}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, _ serverEvents) {
		for range pending {
			for i := range busy {
				w.send(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(1000+i)).String(), "busy")
			}
		}
		sent := time.Now()
		w.send("192.0.2.2:1", "quiet")
		require.Equal(t, "quiet", (<-w.out).data)
		require.LessOrEqual(t, time.Since(sent), 2*busy*time.Millisecond)
	})
}
