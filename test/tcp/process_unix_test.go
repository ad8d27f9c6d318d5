//go:build unix

package tcp_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// serverProcess is a process of its own that runs the calling test with harness.HelperEnv set,
// in which that calls serveInProcess.
type serverProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.Closer // closed, it ends
	lines *bufio.Scanner
	addr  string
}

func startServerProcess(t *testing.T) *serverProcess {
	cmd := harness.Helper(t, "server")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	return &serverProcess{t, cmd, in, lines, strings.TrimPrefix(lines.Text(), "addr ")}
}

func (p *serverProcess) dial() net.Conn {
	c, err := net.Dial("tcp", p.addr)
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (p *serverProcess) signal(sig syscall.Signal) {
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// end ends the process, none of whose sessions may have been closed for the given reason.
func (p *serverProcess) end(never pool.Reason) {
	_ = p.in.Close()
	for p.lines.Scan() {
		require.NotContains(p.t, p.lines.Text(), never)
	}
	require.NoError(p.t, p.cmd.Wait())
}

// serveInProcess serves until the test that has started the process ends it, and prints why
// sessions are closed.
func serveInProcess(t *testing.T, srv *tcp.Server, wrap func(net.Listener) net.Listener) {
	srv.OnSessionClosed = func(_ *tcp.Session, r pool.Reason) { fmt.Println("closed", r) }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	harness.ServeTCP(t, srv, wrap(l))
	fmt.Println("addr", l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}
