package tcp_test

import (
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/pipes"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestMaxSessions_AConnectionBeyondItIsRefusedAtOnce(t *testing.T) {
	srv := &tcp.Server{MaxSessions: 2}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	first := dial()
	dial()
	harness.Next(t, e.opened)
	harness.Next(t, e.opened)
	refused := dial()
	harness.WaitClosed(t, refused)
	err := harness.Next(t, e.errors)
	require.ErrorIs(t, err, pool.ErrFull)
	require.ErrorContains(t, err, refused.LocalAddr().String())
	require.NoError(t, first.Close())
	require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
	dial()
	harness.Next(t, e.opened)
	require.Empty(t, e.errors)
	require.EqualValues(t, 1, srv.Stats().RefusedFull)
}

// connFrom is a connection with another remote address.
type connFrom struct {
	net.Conn
	addr net.Addr
}

func (c connFrom) RemoteAddr() net.Addr { return c.addr }

type namedAddr string

func (namedAddr) Network() string { return "named" }

func (a namedAddr) String() string { return string(a) }

func TestMaxSessionsPerIP_CountsAddressesAsPeersShareThem(t *testing.T) {
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
		{"IPv4 in IPv6", []net.Addr{from("192.0.2.1"), namedAddr("[::ffff:192.0.2.1]:7")}, namedAddr("192.0.2.1:8"), true},
		{"one /64", []net.Addr{from("2001:db8::1"), from("2001:db8::2:3")}, from("2001:db8::ffff"), true},
		{"another /64", []net.Addr{from("2001:db8::1"), from("2001:db8::2")}, from("2001:db8:0:1::1"), false},
		{"a zone", []net.Addr{from("fe80::1"), from("fe80::3")}, zoned, true},
		{"no address", []net.Addr{namedAddr("x"), namedAddr("x")}, namedAddr("x"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := &tcp.Server{MaxSessionsPerIP: 2}
			e := watch(srv)
			l := pipes.New()
			harness.ServeTCP(t, srv, l)
			connect := func(a net.Addr) net.Conn {
				mine, theirs := net.Pipe()
				t.Cleanup(func() { _ = mine.Close() })
				l.Conns <- connFrom{theirs, a}
				return mine
			}
			var first net.Conn
			for _, a := range tt.have {
				first = connect(a)
				harness.Next(t, e.opened)
			}
			c := connect(tt.next)
			if !tt.refuse {
				harness.Next(t, e.opened)
				return
			}
			harness.WaitClosed(t, c)
			err := harness.Next(t, e.errors)
			require.ErrorIs(t, err, tcp.ErrTooManyFromIP)
			require.ErrorContains(t, err, tt.next.String())
			require.NoError(t, first.Close()) // makes room
			require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
			connect(tt.next)
			harness.Next(t, e.opened)
		})
	}
}

func TestMaxSessionsPerIP_DoesNotCountAConnectionRefusedForMaxSessions(t *testing.T) {
	srv := &tcp.Server{MaxSessions: 1, MaxSessionsPerIP: 2}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	first := dial()
	harness.Next(t, e.opened)
	for range 5 {
		harness.WaitClosed(t, dial())
		require.ErrorIs(t, harness.Next(t, e.errors), pool.ErrFull)
	}
	require.NoError(t, first.Close())
	require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
	dial()
	harness.Next(t, e.opened)
}

func TestRefused_ManyConnectionsLeaveNothingButALineEach(t *testing.T) {
	var log harness.LogBuffer
	srv := &tcp.Server{MaxSessions: 1, MaxSessionsPerIP: 10, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	dial()
	harness.Next(t, e.opened)
	goroutines := runtime.NumGoroutine()
	const n = 90 // fewer than the log's limit
	for range n {
		c := dial()
		_, _ = io.WriteString(c, "qzxj\n") // it may be closed already
		harness.WaitClosed(t, c)
		require.ErrorIs(t, harness.Next(t, e.errors), pool.ErrFull)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines+10)
	require.EqualValues(t, n, srv.Stats().RefusedFull)
	require.Equal(t, 1, srv.Stats().Sessions)
	require.Equal(t, n, strings.Count(log.String(), "\n"))
	require.NotContains(t, log.String(), "qz")
}

func TestMaxSessionsPerIP_TheCountGoesWithTheSessions(t *testing.T) {
	srv := &tcp.Server{MaxSessionsPerIP: 1}
	closed := make(chan pool.Reason, 1)
	srv.OnSessionClosed = func(_ *tcp.Session, r pool.Reason) { closed <- r }
	l := pipes.New()
	harness.ServeTCP(t, srv, l)
	from := func(n, to int) {
		for i := n; i < to; i++ {
			mine, theirs := net.Pipe()
			ip := net.IP{0x20, 1, 0xd, 0xb8, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i), 15: 1}
			l.Conns <- connFrom{theirs, &net.TCPAddr{IP: ip, Port: 1}}
			_ = mine.Close()
			harness.Next(t, closed)
		}
	}
	const n = 10_000
	from(0, n/10)
	before := harness.Heap()
	from(n/10, n)
	require.Less(t, harness.Heap()-before, int64(20*n), "a network that is kept takes twice that at least")
}

// reads is a listener that counts the bytes that its connections read.
type reads struct {
	net.Listener
	n *atomic.Int64
}

func (l reads) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return readsConn{c, l.n}, err
}

type readsConn struct {
	net.Conn
	n *atomic.Int64
}

func (c readsConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func TestMaxSessions_AClosedSessionMakesRoomWhileItsCallbackRuns(t *testing.T) {
	entered, gate := make(chan *tcp.Session), make(chan struct{})
	srv := &tcp.Server{MaxSessions: 1, OnMessage: func(s *tcp.Session, _ []byte) {
		entered <- s
		<-gate
	}}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	for range 3 {
		harness.Write(t, dial(), "x\n")
		require.True(t, harness.Next(t, entered).Close("by hand"))
	}
	require.Empty(t, e.closed)
	require.Zero(t, srv.Stats().Sessions)
	close(gate)
	for range 3 {
		harness.Next(t, e.closed)
	}
}
