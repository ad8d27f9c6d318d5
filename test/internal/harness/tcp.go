package harness

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/pipes"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/tcp/tcptest"
)

// ServeTCP serves l until the test ends, and then waits for everything that the
// server started.
func ServeTCP(t testing.TB, srv *tcp.Server, l net.Listener) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with Shutdown, waited for by the cleanup
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		require.ErrorIs(t, Next(t, served), tcp.ErrServerClosed)
	})
}

// ListenTCP serves on a socket of the loopback and returns a function that
// connects to it.
func ListenTCP(t testing.TB, srv *tcp.Server) (dial func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ServeTCP(t, srv, l)
	return func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

// ListenMemory is ListenTCP over connections in memory, for fake time.
func ListenMemory(t testing.TB, srv *tcp.Server) (dial func() net.Conn) {
	t.Helper()
	l := tcptest.Listen()
	ServeTCP(t, srv, l)
	return func() net.Conn {
		c, err := l.Dial()
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

// ListenPipes is ListenTCP over net.Pipes, where nothing is sent that the peer does
// not read at once.
func ListenPipes(t testing.TB, srv *tcp.Server) (dial func() net.Conn) {
	t.Helper()
	l := pipes.New()
	ServeTCP(t, srv, l)
	return func() net.Conn {
		c := l.Dial()
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

// EchoLine is an OnMessage that sends a line back.
func EchoLine(s *tcp.Session, line []byte) { _ = s.Send(append(line, '\n')) }

// Write writes all of s.
func Write(t testing.TB, c net.Conn, s string) {
	t.Helper()
	_, err := io.WriteString(c, s)
	require.NoError(t, err)
}

// Read reads as many bytes as want has, which must be those of want.
func Read(t testing.TB, c net.Conn, want string) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(Patience)))
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	require.NoError(t, err, "after %q", got[:n])
	require.Equal(t, want, string(got))
}

// WaitClosed waits until the server has closed its end of the connection.
func WaitClosed(t testing.TB, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(Patience)) // a pipe that is closed refuses it
	_, err := io.Copy(io.Discard, c)
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "the connection is still open")
}
