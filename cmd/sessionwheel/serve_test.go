package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

func TestServe_EchoesLinesAndFramesAndDrainsOnASignal(t *testing.T) {
	t.Parallel()
	for split, sig := range map[string]syscall.Signal{"lines": syscall.SIGTERM, "frames": syscall.SIGINT} {
		p, addr := servetest.Start(t, "--split", split)
		c := servetest.Connect(t, addr, split, nil)
		for _, body := range []string{"hello", "", strings.Repeat("x", 40_000)} {
			_, _, err := c.Send([]byte(body))
			require.NoError(t, err)
			require.NoError(t, c.Receive())
		}
		p.Signal(sig)
		require.NoError(t, c.AwaitClose())
		require.Zero(t, p.Wait(), p.Logged())
		require.Regexp(t, `msg="session opened" session=1 remote=127\.0\.0\.1:\d+ open=1\n`, p.Logged())
		require.Regexp(t, `msg="session closed" session=1 remote=\S+ reason=Shutdown idle=\S+ age=\S+ frames=3 bytes=40005 open=0\n`, p.Logged())
		require.Contains(t, p.Logged(), "msg=draining")
		require.Contains(t, p.Logged(), "msg=stopped")
		require.Equal(t, 1, strings.Count(p.Logged(), "session closed"))
	}
}

func TestServe_ClosesIdleSessionsAndLogsInJSON(t *testing.T) {
	t.Parallel()
	p, addr := servetest.Start(t, "--idle", "200ms", "--log-format", "json")
	c := servetest.Connect(t, addr, "lines", nil)
	require.NoError(t, c.AwaitClose())
	p.Await(`session closed`)
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.Wait())
	found := false
	for line := range strings.Lines(p.Logged()) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		if entry["msg"] == "session closed" {
			found = true
			require.Equal(t, "Timeout", entry["reason"])
			require.EqualValues(t, 1, entry["session"])
			require.Equal(t, c.LocalAddr().String(), entry["remote"])
			for _, key := range []string{"idle", "age", "frames", "bytes"} {
				require.Contains(t, entry, key)
			}
			require.GreaterOrEqual(t, entry["idle"], float64(200*time.Millisecond))
		}
	}
	require.True(t, found)
}

func TestServe_RefusesSessionsBeyondItsLimits(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--max-sessions", "--max-sessions-per-ip"} {
		p, addr := servetest.Start(t, flag, "1")
		first := servetest.Connect(t, addr, "lines", nil)
		p.Await(`session opened`)
		second := servetest.Connect(t, addr, "lines", nil)
		require.NoError(t, second.AwaitClose())
		_, _, err := first.Send([]byte("still here"))
		require.NoError(t, err)
		require.NoError(t, first.Receive())
		p.Await(`level=WARN .*refused`)
	}
}

func TestServe_LogsNothingBelowItsLevel(t *testing.T) {
	t.Parallel()
	// Port 0 would not be told at this level, so a free one is looked for.
	free, err := loopback.Addrs(1)
	require.NoError(t, err)
	addr := free[0]
	p := consoletest.Launch(t, "serve", "--addr", addr, "--log-level", "error")
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, consoletest.Patience, 20*time.Millisecond)
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.Wait())
	require.Empty(t, p.Logged())
}

func TestServe_DrainsNoLongerThanItsLimit(t *testing.T) {
	t.Parallel()
	p, addr := servetest.Start(t, "--drain", "100ms")
	servetest.Stick(t, addr)
	p.Signal(syscall.SIGTERM)
	require.Equal(t, console.ExitRuntime, p.Wait())
	require.Regexp(t, `session=1 .*reason=Shutdown [\s\S]*\nsessionwheel: .*--drain 100ms.*\n$`, p.Logged())
}

func TestServe_ASecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	p, addr := servetest.Start(t, "--drain", "1h", "--write-timeout", "1h")
	servetest.Stick(t, addr)
	p.Signal(syscall.SIGTERM)
	p.Await(`msg=draining`)
	p.Signal(syscall.SIGTERM)
	require.Equal(t, 143, p.Wait())
	require.Contains(t, p.Logged(), "sessionwheel: second signal")
}

func TestServe_SpeaksTLS(t *testing.T) {
	t.Parallel()
	cert, key, pool := servetest.SelfSigned(t)
	p, addr := servetest.Start(t, "--tls-cert", cert, "--tls-key", key)
	c := servetest.Connect(t, addr, "lines", &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
	_, _, err := c.Send([]byte("in secret"))
	require.NoError(t, err)
	require.NoError(t, c.Receive())

	o := consoletest.Run(t, "load", "--addr", addr, "--tls-insecure", "--active", "3", "--rate", "10", "--duration", "6s")
	require.Zero(t, o.Status, o.Out+o.Err)
	o = consoletest.Run(t, "load", "--addr", addr, "--tls", "--duration", "300ms")
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, addr, "not trusted", "--tls-insecure")

	p.Signal(syscall.SIGTERM)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(consoletest.Patience)))
	_, err = io.Copy(io.Discard, bufio.NewReader(c.Conn))
	require.NoError(t, err, "a drain says farewell")
	require.Zero(t, p.Wait(), p.Logged())
}
