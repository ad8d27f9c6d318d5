package udp_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

// serverEvents receives what a server's callbacks are called with.
type serverEvents struct {
	opened   chan *udp.Session
	messages chan string
	errors   chan error
	closed   chan pool.Reason
}

// watch sends the events of srv to channels, except for callbacks that srv has
// already.
func watch(srv *udp.Server) serverEvents {
	e := serverEvents{make(chan *udp.Session, 1000), make(chan string, 1000), make(chan error, 1000), make(chan pool.Reason, 1000)}
	if srv.OnNewSessionRegister == nil {
		srv.OnNewSessionRegister = func(s *udp.Session) { e.opened <- s }
	}
	if srv.OnMessage == nil {
		srv.OnMessage = func(_ *udp.Session, p []byte) { e.messages <- string(p) }
	}
	if srv.OnError == nil {
		srv.OnError = func(_ *udp.Session, err error) { e.errors <- err }
	}
	if srv.OnSessionClosed == nil {
		srv.OnSessionClosed = func(_ *udp.Session, r pool.Reason) { e.closed <- r }
	}
	return e
}

// echo sends a datagram back.
func echo(s *udp.Session, p []byte) { _ = s.Send(p) }

// serveUDP serves pc until the test ends, waits for everything that the server
// started, and checks that its counts balance.
func serveUDP(t testing.TB, srv *udp.Server, pc net.PacketConn) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(pc) }() // ends with Shutdown, waited for by the cleanup
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		require.ErrorIs(t, harness.Next(t, served), udp.ErrServerClosed)
		requireBalance(t, srv.Stats())
	})
}

// requireBalance checks the counts of a server that has ended.
func requireBalance(t testing.TB, st udp.Stats) {
	t.Helper()
	require.Zero(t, st.Sessions)
	require.Equal(t, st.Registered, st.Closed)
	require.Equal(t, st.Received, st.Handled+st.TooLarge+st.PendingFull+st.BadAddress+st.OwnAddress+st.NotAdmitted+st.Late+
		st.RefusedPerIP+st.RefusedFull+st.RefusedClosed, "%+v", st)
	require.Zero(t, st.RefusedDuplicate)
}

// listenUDP serves on a socket of the loopback and returns its address.
func listenUDP(t testing.TB, srv *udp.Server) net.Addr {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	serveUDP(t, srv, pc)
	return pc.LocalAddr()
}

// dialUDP returns a peer with an address of its own.
func dialUDP(t testing.TB, server net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", server.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func localAddr(c net.Conn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func write(t testing.TB, c net.Conn, s string) {
	t.Helper()
	_, err := c.Write([]byte(s))
	require.NoError(t, err)
}

// read reads one datagram.
func read(t testing.TB, c net.Conn) string {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(harness.Patience)))
	p := make([]byte, 1<<16)
	n, err := c.Read(p)
	require.NoError(t, err)
	return string(p[:n])
}

// ask sends a datagram and reads one.
func ask(t testing.TB, c net.Conn, s string) string {
	t.Helper()
	write(t, c, s)
	return read(t, c)
}
