//go:build unix && !freebsd && !dragonfly

package main

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

func TestServe_ViewersThatDoNotReadLeaveTheServerItsDescriptors(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	require.NoError(t, err)
	cmd := consoletest.Command(t, "serve", "--addr", "127.0.0.1:0", "--http", "0", "--drain", "1m")
	cmd.Args = append([]string{sh, "-c", `ulimit -n 128 && exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = sh
	p, addr := servetest.Listening(t, cmd)
	page := servetest.Page(p)
	servetest.RequestWithoutReading(t, page, "app.js", 150)
	for range 30 {
		c := servetest.Connect(t, addr, "lines", nil)
		_, _, err := c.Send([]byte("hello"))
		require.NoError(t, err)
		require.NoError(t, c.Receive())
	}
	status, _ := servetest.Get(t, page+"healthz")
	require.Equal(t, 200, status, "others are let in")
	require.NotContains(t, p.Logged(), "too many open files")

	servetest.RequestWithoutReading(t, page, "app.js", 10)
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.Wait(), p.Logged())
	require.Less(t, time.Since(began), 8*time.Second, "viewers do not delay the end")
}
