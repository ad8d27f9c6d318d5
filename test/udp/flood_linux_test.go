package udp_test

import (
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

// addressSpoofer sends datagrams to a server from any address of 127.0.0.0/8, with
// one system call each. Only replies to 127.0.0.1 reach its port.
type addressSpoofer struct {
	conn    *net.UDPConn
	to      netip.AddrPort
	control []byte
}

func newAddressSpoofer(t testing.TB, server net.Addr) *addressSpoofer {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &addressSpoofer{conn, server.(*net.UDPAddr).AddrPort(), make([]byte, syscall.CmsgSpace(syscall.SizeofInet4Pktinfo))}
}

// send sends p from the given address.
func (u *addressSpoofer) send(from netip.Addr, p []byte) error {
	h := (*syscall.Cmsghdr)(unsafe.Pointer(&u.control[0]))
	h.Level, h.Type = syscall.IPPROTO_IP, syscall.IP_PKTINFO
	h.SetLen(syscall.CmsgLen(syscall.SizeofInet4Pktinfo))
	(*syscall.Inet4Pktinfo)(unsafe.Pointer(&u.control[syscall.CmsgLen(0)])).Spec_dst = from.As4()
	_, _, err := u.conn.WriteMsgUDPAddrPort(p, u.control, u.to)
	return err
}

// window is the most datagrams under way at once, so that the socket's buffer,
// which holds about 250 small ones, loses none.
const window = 100

// Each of 100,000 addresses of 127.0.0.0/8 sends once. Their sessions expire while
// others still arrive. Under the race detector, where a goroutine costs many times
// as much, there are 20,000.
func TestFlood_OfManyAddressesComesAndTimesOut(t *testing.T) {
	addresses := 100_000
	if harness.RaceDetector {
		addresses = 20_000
	}
	var (
		opened, closed, wrong atomic.Int64
		seen                  = make([]atomic.Bool, addresses)
		underWay              = make(chan struct{}, window)
	)
	numbered := func(n int) netip.Addr { // from 127.1.0.0 on
		n += 1 << 16
		return netip.AddrFrom4([4]byte{127, byte(n >> 16), byte(n >> 8), byte(n)})
	}
	srv := &udp.Server{
		IdleTimeout:          500 * time.Millisecond,
		MaxSessions:          -1,
		MaxSessionsPerIP:     1,
		OnNewSessionRegister: func(*udp.Session) { opened.Add(1) },
		OnMessage: func(s *udp.Session, p []byte) {
			n, err := strconv.Atoi(string(p))
			if err != nil || s.RemoteAddr().Addr() != numbered(n) || seen[n].Swap(true) {
				wrong.Add(1)
			}
			<-underWay
		},
		OnSessionClosed: func(_ *udp.Session, r pool.Reason) {
			if r != pool.Timeout {
				wrong.Add(1)
			}
			closed.Add(1)
		},
	}
	spoofer := newAddressSpoofer(t, listenUDP(t, srv))
	for i := range addresses {
		select {
		case underWay <- struct{}{}:
		default: // until one has been handled
			harness.Until(t, func() bool { return len(underWay) < window/2 })
			underWay <- struct{}{}
		}
		require.NoError(t, spoofer.send(numbered(i), strconv.AppendInt(nil, int64(i), 10)))
	}
	harness.Until(t, func() bool { return closed.Load() == int64(addresses) })
	require.Zero(t, wrong.Load())
	require.EqualValues(t, addresses, opened.Load())
	st := srv.Stats()
	require.Zero(t, st.Sessions)
	require.EqualValues(t, addresses, st.Registered)
	require.Equal(t, map[pool.Reason]uint64{pool.Timeout: uint64(addresses)}, st.ByReason)
	require.EqualValues(t, addresses, st.Handled)
}
