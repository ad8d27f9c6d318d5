//go:build unix

package tcp_test

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

const (
	frozenSend  = 16 << 20 // more than sockets take
	frozenPeers = 10
	frozenWrite = 12 * time.Second // the WriteTimeout
)

// TestWriteTimeout_ForgivesAFreeze stops a server in the midst of its Sends, so that these take
// longer than WriteTimeout. Some peers read meanwhile all that has been sent by then. The others
// read again soon after the server goes on, in what is left of WriteTimeout.
func TestWriteTimeout_ForgivesAFreeze(t *testing.T) {
	t.Parallel() // it waits for a process that is stopped
	if os.Getenv(harness.HelperEnv) != "" {
		serveInProcess(t, &tcp.Server{
			WriteTimeout: frozenWrite, IdleTimeout: -1,
			OnMessage: func(s *tcp.Session, _ []byte) { _ = s.Send(make([]byte, frozenSend)) },
		}, func(l net.Listener) net.Listener { return &halfWrapped{Listener: l} })
		return
	}
	p := startServerProcess(t)
	conns := make([]net.Conn, frozenPeers)
	start := time.Now()
	for i := range conns {
		conns[i] = p.dial()
		require.NoError(t, conns[i].(*net.TCPConn).SetReadBuffer(64<<10))
		harness.Write(t, conns[i], "send\n")
	}
	time.Sleep(time.Until(start.Add(frozenWrite * 5 / 6))) // the Sends are blocked, and soon slow
	p.signal(syscall.SIGSTOP)
	time.Sleep(frozenWrite / 4)
	got := make([]int64, frozenPeers)
	var all sync.WaitGroup
	for i, c := range conns[:frozenPeers/2] {
		all.Go(func() { // reads what the kernel has
			_ = c.SetReadDeadline(time.Now().Add(frozenWrite / 4))
			got[i], _ = io.Copy(io.Discard, c)
		})
	}
	all.Wait()
	for _, n := range got[:frozenPeers/2] {
		require.Positive(t, n)
		require.Less(t, n, int64(frozenSend))
	}
	p.signal(syscall.SIGCONT)
	for i, c := range conns {
		all.Go(func() {
			if got[i] == 0 {
				time.Sleep(frozenWrite / 16)
			}
			_ = c.SetReadDeadline(time.Now().Add(harness.Patience))
			n, err := io.CopyN(io.Discard, c, frozenSend-got[i])
			assert.NoError(t, err, "peer %d after %d and %d bytes", i, got[i], n)
		})
	}
	all.Wait()
	p.end(tcp.ReasonSlow)
}

// halfWrapped accepts sockets, and in turn connections that are nothing but a net.Conn.
type halfWrapped struct {
	net.Listener
	n int
}

func (l *halfWrapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if l.n++; err == nil && l.n%2 == 0 {
		c = struct{ net.Conn }{c}
	}
	return c, err
}
