package tcp_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// silentConn is a peer that sends nothing and needs no socket.
type silentConn struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (c *silentConn) Read([]byte) (int, error) { <-c.closed; return 0, io.EOF }

func (c *silentConn) Close() error { c.once.Do(func() { close(c.closed) }); return nil }

func (*silentConn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// silentListener accepts left silentConns.
type silentListener struct {
	net.Listener
	left   int
	closed chan struct{}
}

func (l *silentListener) Accept() (net.Conn, error) {
	if l.left == 0 {
		<-l.closed
		return nil, net.ErrClosed
	}
	l.left--
	return &silentConn{closed: make(chan struct{})}, nil
}

func (l *silentListener) Close() error { close(l.closed); return nil }

func TestMaxSessions_Is65536ByDefault(t *testing.T) {
	if harness.RaceDetector {
		t.Skip("the race detector knows 8,128 goroutines at most; .ci/run runs this without it")
	}
	const limit, beyond = 65_536, 10
	var full atomic.Int64
	srv := &tcp.Server{OnError: func(_ *tcp.Session, err error) {
		require.ErrorIs(t, err, pool.ErrFull)
		full.Add(1)
	}}
	served := make(chan error, 1)
	l := &silentListener{left: limit + beyond, closed: make(chan struct{})}
	go func() { served <- srv.Serve(l) }()
	require.Eventually(t, func() bool { return full.Load() == beyond }, harness.Patience, 10*time.Millisecond)
	require.Equal(t, limit, srv.Stats().Sessions)
	require.NoError(t, srv.Shutdown(t.Context()))
	require.ErrorIs(t, <-served, tcp.ErrServerClosed)
}
