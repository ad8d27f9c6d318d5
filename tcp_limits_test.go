package sessionwheel_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

func TestAConnectionBeyondMaxSessionsIsRefusedAtOnce(t *testing.T) {
	srv := &tcp.Server{MaxSessions: 2}
	e := tcpWatch(srv)
	dial := tcpListen(t, srv)
	first := dial()
	dial()
	tcpNext(t, e.opened)
	tcpNext(t, e.opened)
	refused := dial()
	tcpGone(t, refused)
	err := tcpNext(t, e.errors)
	require.ErrorIs(t, err, pool.ErrFull)
	require.ErrorContains(t, err, refused.LocalAddr().String())
	require.NoError(t, first.Close())
	require.Equal(t, tcp.ReasonEOF, tcpNext(t, e.closed))
	dial()
	tcpNext(t, e.opened)
	require.Empty(t, e.errors)
	require.EqualValues(t, 1, srv.Stats().RefusedFull)
}

// tcpFrom is a connection that says it comes from somewhere else.
type tcpFrom struct {
	net.Conn
	addr net.Addr
}

func (c tcpFrom) RemoteAddr() net.Addr { return c.addr }

type tcpNamed string

func (tcpNamed) Network() string  { return "named" }
func (a tcpNamed) String() string { return string(a) }

func TestMaxSessionsPerIPCountsAddressesAsPeersShareThem(t *testing.T) {
	from := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1234} }
	zoned := &net.TCPAddr{IP: net.ParseIP("fe80::2"), Zone: "eth0", Port: 1}
	for _, tt := range []struct {
		name   string
		have   []net.Addr // with a limit of 2
		next   net.Addr
		refuse bool
	}{
		{"the same", []net.Addr{from("192.0.2.1"), from("192.0.2.1")}, from("192.0.2.1"), true},
		{"others", []net.Addr{from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.2")}, from("192.0.2.2"), false},
		{"IPv4 in IPv6", []net.Addr{from("192.0.2.1"), tcpNamed("[::ffff:192.0.2.1]:7")}, tcpNamed("192.0.2.1:8"), true},
		{"one /64", []net.Addr{from("2001:db8::1"), from("2001:db8::2:3")}, from("2001:db8::ffff"), true},
		{"another /64", []net.Addr{from("2001:db8::1"), from("2001:db8::2")}, from("2001:db8:0:1::1"), false},
		{"a zone", []net.Addr{from("fe80::1"), from("fe80::3")}, zoned, true},
		{"no address", []net.Addr{tcpNamed("x"), tcpNamed("x")}, tcpNamed("x"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := &tcp.Server{MaxSessionsPerIP: 2}
			e := tcpWatch(srv)
			l := &tcpPipes{make(chan net.Conn), make(chan struct{})}
			tcpServe(t, srv, l)
			connect := func(a net.Addr) net.Conn {
				mine, theirs := net.Pipe()
				t.Cleanup(func() { _ = mine.Close() })
				l.conns <- tcpFrom{theirs, a}
				return mine
			}
			var first net.Conn
			for _, a := range tt.have {
				first = connect(a)
				tcpNext(t, e.opened)
			}
			c := connect(tt.next)
			if !tt.refuse {
				tcpNext(t, e.opened)
				return
			}
			tcpGone(t, c)
			err := tcpNext(t, e.errors)
			require.ErrorIs(t, err, tcp.ErrTooManyFromIP)
			require.ErrorContains(t, err, tt.next.String())
			require.NoError(t, first.Close()) // makes room
			require.Equal(t, tcp.ReasonEOF, tcpNext(t, e.closed))
			connect(tt.next)
			tcpNext(t, e.opened)
		})
	}
}

func TestAConnectionRefusedForMaxSessionsDoesNotCountForItsIP(t *testing.T) {
	srv := &tcp.Server{MaxSessions: 1, MaxSessionsPerIP: 2}
	e := tcpWatch(srv)
	dial := tcpListen(t, srv)
	first := dial()
	tcpNext(t, e.opened)
	for range 5 {
		tcpGone(t, dial())
		require.ErrorIs(t, tcpNext(t, e.errors), pool.ErrFull)
	}
	require.NoError(t, first.Close())
	require.Equal(t, tcp.ReasonEOF, tcpNext(t, e.closed))
	dial()
	tcpNext(t, e.opened)
}
