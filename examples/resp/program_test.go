package main

import (
	"bytes"
	"errors"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFlags_ErrorNamesTheFlagAndHelpIsPrinted(t *testing.T) {
	t.Parallel()
	addr := ours(t)
	for _, tt := range []struct {
		args   string
		status int
		says   string
	}{
		{"--help", 0, "-timeout seconds"},
		{"--timeout -1", 2, "--timeout must be from 0 to 2147483647 seconds"},
		{"--timeout 1h", 2, "invalid value \"1h\" for flag -timeout"},
		{"--nope", 2, "-nope"},
		{"stray", 2, "no arguments except flags"},
		{"--addr " + addr, 1, "resp: --addr " + addr + ": listen tcp " + addr},
		{"--addr nowhere", 1, "resp: --addr nowhere: "},
	} {
		var said bytes.Buffer
		cmd := program(t, strings.Fields(tt.args)...)
		cmd.Stderr = &said
		err := cmd.Run()
		var exit *exec.ExitError
		require.True(t, err == nil || errors.As(err, &exit), "%v", err)
		require.Equal(t, tt.status, cmd.ProcessState.ExitCode(), tt.args)
		require.Contains(t, said.String(), tt.says)
	}
}

func TestTimeoutFlag_ClosesIdleClients(t *testing.T) {
	t.Parallel() // it waits for a timeout
	p := launch(t, "--timeout", "10")
	c := dial(t, p.addr)
	start := time.Now()
	c.send("CONFIG GET timeout\r\n")
	require.Equal(t, "*2\r\n$7\r\ntimeout\r\n$2\r\n10\r\n", c.closed())
	require.Greater(t, time.Since(start), 9900*time.Millisecond)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	status, log := p.ends(t)
	require.Zero(t, status, log)
}

func TestSignal_SecondOneEndsTheProgramAtOnce(t *testing.T) {
	t.Parallel()
	p := launch(t)
	c := dial(t, p.addr)
	value := strings.Repeat("v", maxBulk)
	c.send(bulks("SET", "k", value))
	c.want("+OK\r\n")
	c.send(strings.Repeat(bulks("GET", "k"), 50)) // more than the sockets buffer
	first := make([]byte, 1)
	_, err := c.Read(first)
	require.NoError(t, err)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { // it listens no more, and from then on a signal is the last
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, patience, 10*time.Millisecond)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	start := time.Now()
	status, _ := p.ends(t)
	require.Equal(t, -1, status)
	require.Less(t, time.Since(start), patience)
}
