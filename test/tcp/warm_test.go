package tcp_test

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/tcp/tcptest"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// sizedConn notes how much each Read asks for.
type sizedConn struct {
	net.Conn
	mu    sync.Mutex
	sizes []int
}

func (c *sizedConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	c.sizes = append(c.sizes, len(p))
	c.mu.Unlock()
	return c.Conn.Read(p)
}

// since returns what was asked for since the last call.
func (c *sizedConn) since() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	sizes := c.sizes
	c.sizes = nil
	return sizes
}

type sizedListener struct {
	net.Listener
	conns chan *sizedConn
}

func (l sizedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	sized := &sizedConn{Conn: c}
	l.conns <- sized
	return sized, nil
}

// A connection that is no socket is read from without a buffer while it is idle, one byte at
// a time, and with one while it is active.
func TestRead_OfAWrappedConnectionHasABufferWhileItIsActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{OnMessage: harness.EchoLine}
		l := tcptest.Listen()
		conns := make(chan *sizedConn, 1)
		harness.ServeTCP(t, srv, sizedListener{l, conns})
		c, err := l.Dial()
		require.NoError(t, err)
		defer c.Close()
		conn := <-conns
		echo := func() {
			harness.Write(t, c, "hello\n")
			harness.Read(t, c, "hello\n")
			synctest.Wait()
		}
		synctest.Wait()
		require.Equal(t, []int{1}, conn.since(), "idle from the start")
		echo()
		require.Greater(t, conn.since()[1], 1)
		for range 30 { // three seconds of activity
			time.Sleep(100 * time.Millisecond)
			echo()
			for _, size := range conn.since() {
				require.Greater(t, size, 1, "active")
			}
		}
		time.Sleep(3 * time.Second)
		sizes := conn.since()
		require.Equal(t, 1, sizes[len(sizes)-1], "idle again")
		time.Sleep(time.Hour / 60)
		require.Empty(t, conn.since(), "and left alone")
		echo()
	})
}
