package udp_test

import (
	"net"
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

func TestMemory_OfSessionsComesBackWhenTheyHaveGone(t *testing.T) {
	const n = 20_000
	srv := &udp.Server{IdleTimeout: -1}
	w := newFakeSocket()
	serveUDP(t, srv, w)
	before := harness.Heap()
	for i := range n {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5000)
		w.in <- packet{data: "a", addr: net.UDPAddrFromAddrPort(addr)}
	}
	harness.Until(t, func() bool { return srv.Stats().Handled == n })
	full := harness.Heap()
	for s := range srv.Sessions() {
		s.Close("enough")
	}
	harness.Until(t, func() bool { return srv.Stats().Closed == n && srv.Stats().Closing == 0 })
	left := harness.Heap()
	t.Logf("%d bytes for a session, %d left of it", (full-before)/n, (left-before)/n)
	require.Greater(t, full-before, int64(100*n))
	require.Less(t, left-before, (full-before)/10)
	runtime.KeepAlive(srv)
}
