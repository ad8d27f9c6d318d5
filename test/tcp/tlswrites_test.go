package tcp_test

import (
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/tcp/tcptest"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// persistentConn counts the Writes that fail, and closes after too many: whoever goes on with
// them does so without end.
type persistentConn struct {
	net.Conn
	failed atomic.Int64
	closed chan time.Time
}

const tooMany = 100

func (c *persistentConn) NetConn() net.Conn { return c.Conn }

func (c *persistentConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil && c.failed.Add(1) == tooMany {
		_ = c.Conn.Close()
	}
	return n, err
}

func (c *persistentConn) Close() error {
	c.closed <- time.Now()
	return c.Conn.Close()
}

type persistentListener struct {
	net.Listener
	conns chan *persistentConn
}

func (l persistentListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &persistentConn{Conn: c, closed: make(chan time.Time, 10)}
	l.conns <- conn
	return conn, nil
}

// What TLS has not written whole cannot be taken up again, also where a connection wraps that
// of a listener of package tls.
func TestSlow_IsNotAPeerThatReadsAgainBeneathAWrappedTLS(t *testing.T) {
	server, client := tlsConfigs(t)
	synctest.Test(t, func(t *testing.T) {
		const size = 1 << 20
		srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) { _ = s.Send(make([]byte, size)) }}
		e := watch(srv)
		l := tcptest.Listen()
		conns := make(chan *persistentConn, 1)
		harness.ServeTCP(t, srv, persistentListener{tls.NewListener(l, server), conns})
		raw, err := l.Dial()
		require.NoError(t, err)
		defer raw.Close()
		c := tls.Client(raw, client)
		harness.Write(t, c, "more\n")
		time.Sleep(20 * time.Second) // WriteTimeout is 30 s
		n, err := io.CopyN(io.Discard, c, size)
		require.NoError(t, err, "after %d bytes", n)
		require.Empty(t, e.closed)
	})
}

// The peer has taken the last reply, and has no room for TLS's goodbye behind it.
func TestFinish_DoesNotPersistInATLSGoodbye(t *testing.T) {
	server, client := tlsConfigs(t)
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{TLSConfig: server}
		e := watch(srv)
		l := tcptest.Listen()
		conns := make(chan *persistentConn, 1)
		harness.ServeTCP(t, srv, persistentListener{l, conns})
		raw, err := l.Dial()
		require.NoError(t, err)
		defer raw.Close()
		require.NoError(t, tls.Client(raw, client).Handshake())
		s := harness.Next(t, e.opened)
		synctest.Wait()
		require.NoError(t, raw.SetReadBuffer(raw.Buffered()+1000))
		require.NoError(t, s.Post(make([]byte, 1000-22))) // with what TLS adds
		synctest.Wait()
		require.Zero(t, s.Outbound())
		start := time.Now()
		s.Finish("Done")
		require.Equal(t, pool.Reason("Done"), harness.Next(t, e.closed))
		conn := harness.Next(t, conns)
		require.Less(t, harness.Next(t, conn.closed).Sub(start), 10*time.Second)
		require.Less(t, conn.failed.Load(), int64(tooMany))
	})
}
