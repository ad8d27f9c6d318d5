//go:build unix && !freebsd && !dragonfly

package main

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

// greedy opens connections to a page that request its script again and again and read
// nothing, until the server reads no more.
func greedy(t *testing.T, page string, n int) {
	t.Helper()
	requests := strings.Repeat("GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n", 5000)
	for range n {
		conn, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(page, "http:"), "/"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
		go func() { _, _ = io.WriteString(conn, requests) }() // ends with the connection
	}
}

func TestServe_ViewersThatDoNotReadLeaveTheServerItsDescriptors(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	require.NoError(t, err)
	cmd := consoletest.Command(t, "serve", "--addr", "127.0.0.1:0", "--http", "0", "--drain", "1m")
	cmd.Args = append([]string{sh, "-c", `ulimit -n 128 && exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = sh
	p, addr := servetest.Listening(t, cmd)
	page := servetest.Page(p)
	greedy(t, page, 150)
	for range 30 {
		c := servetest.Connect(t, addr, "lines", nil)
		_, _, err := c.Send([]byte("hello"))
		require.NoError(t, err)
		require.NoError(t, c.Receive())
	}
	status, _ := servetest.Get(t, page+"healthz")
	require.Equal(t, 200, status, "others are let in")
	require.NotContains(t, p.Logged(), "too many open files")

	greedy(t, page, 10)
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.Wait(), p.Logged())
	require.Less(t, time.Since(began), 8*time.Second, "viewers do not delay the end")
}
