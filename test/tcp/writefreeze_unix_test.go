//go:build unix

package tcp_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

const (
	frozenSend  = 16 << 20 // more than sockets take
	frozenPeers = 10
	frozenWrite = 6 * time.Second // the WriteTimeout
)

// TestWriteTimeout_ForgivesAFreeze stops a server in the midst of its Sends for longer than
// WriteTimeout. Its peers have read all that had been sent by then, and go on.
func TestWriteTimeout_ForgivesAFreeze(t *testing.T) {
	t.Parallel() // it waits for a process that is stopped
	if os.Getenv(harness.HelperEnv) != "" {
		serveFrozen(t)
		return
	}
	cmd := harness.Helper(t, "server")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	addr := strings.TrimPrefix(lines.Text(), "addr ")
	conns := make([]net.Conn, frozenPeers)
	for i := range conns {
		conns[i], err = net.Dial("tcp", addr)
		require.NoError(t, err)
		defer conns[i].Close()
		require.NoError(t, conns[i].(*net.TCPConn).SetReadBuffer(64<<10))
		harness.Write(t, conns[i], "send\n")
	}
	time.Sleep(frozenWrite * 5 / 6) // the Sends are blocked, and soon slow
	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
	time.Sleep(frozenWrite / 2)
	got := make([]int64, frozenPeers)
	for i, c := range conns { // what the kernel has
		require.NoError(t, c.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
		got[i], _ = io.Copy(io.Discard, c)
		require.Less(t, got[i], int64(frozenSend))
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	for i, c := range conns {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(harness.Patience)))
		n, err := io.CopyN(io.Discard, c, frozenSend-got[i])
		require.NoError(t, err, "peer %d after %d and %d bytes", i, got[i], n)
	}
	_ = in.Close()
	for lines.Scan() {
		require.NotContains(t, lines.Text(), tcp.ReasonSlow)
	}
	require.NoError(t, cmd.Wait())
}

// serveFrozen is the process that is stopped.
func serveFrozen(t *testing.T) {
	srv := &tcp.Server{
		WriteTimeout: frozenWrite, IdleTimeout: -1,
		OnMessage:       func(s *tcp.Session, _ []byte) { _ = s.Send(make([]byte, frozenSend)) },
		OnSessionClosed: func(_ *tcp.Session, r pool.Reason) { fmt.Println("closed", r) },
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	harness.ServeTCP(t, srv, &halfWrapped{Listener: l})
	fmt.Println("addr", l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
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
