package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

func TestLoad_MeasuresRoundTripsAndHowLateIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	for _, split := range []string{"lines", "frames"} {
		t.Run(split, func(t *testing.T) {
			t.Parallel()
			p, addr := servetest.Start(t, "--split", split, "--idle", "6s", "--log-level", "info")
			o := consoletest.Run(t, "load", "--addr", addr, "--split", split, "--active", "5", "--rate", "50", "--idle", "10",
				"--idle-timeout", "6s", "--duration", "6100ms", "--size", "300")
			require.Zero(t, o.Status, o.Out+o.Err)
			require.Empty(t, o.Err)
			require.Regexp(t, `messages +[\d,]+ echoed, [\d,]+/s`, o.Out)
			require.Regexp(t, `round trip +p50 \S+ +p90 \S+ +p99 \S+ +p99\.9 \S+ +max \S+\n`, o.Out)
			require.Contains(t, o.Out, "10 closed by the server, 0 still open")
			require.Regexp(t, `closed late +p50 \S+ +p99 \S+ +max \S+\n`, o.Out)
			require.Regexp(t, `errors +0\n`, o.Out)
			require.NotContains(t, o.Out, "\x1b")
			require.NotRegexp(t, `(?m)^.{81,}$`, o.Out)
			p.Signal(syscall.SIGTERM)
			require.Zero(t, p.Wait())
			requireNoneTorn(t, p)
		})
	}
}

// requireNoneTorn requires that load has left no connection of a server torn.
func requireNoneTorn(t *testing.T, server *consoletest.Process) {
	t.Helper()
	logged := strings.ReplaceAll(server.Logged(), `level=WARN msg="wheel: stalled"`, "") // of a slow machine
	require.NotContains(t, logged, "level=WARN")
}

func TestLoad_FailsWhenIdleConnectionsAreClosedEarly(t *testing.T) {
	t.Parallel()
	_, addr := servetest.Start(t, "--idle", "6s")
	o := consoletest.Run(t, "load", "--addr", addr, "--active", "0", "--idle", "3", "--duration", "40s", "--idle-timeout", "30s")
	require.Equal(t, console.ExitRuntime, o.Status, o.Out+o.Err)
	require.Contains(t, o.Out, "3 closed before --idle-timeout 30s")
	require.Empty(t, o.Err)
}

func TestLoad_ReportsAfterWhatTimeIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	_, addr := servetest.Start(t, "--idle", "6s")
	o := consoletest.Run(t, "load", "--addr", addr, "--active", "0", "--idle", "3", "--duration", "40s")
	require.Zero(t, o.Status, o.Out+o.Err)
	require.Regexp(t, `closed after +p50 \d+`, o.Out)
}

func TestLoad_KeepsToItsRate(t *testing.T) {
	t.Parallel()
	_, addr := servetest.Start(t)
	o := consoletest.Run(t, "load", "--addr", addr, "--active", "4", "--rate", "100", "--duration", "6s")
	require.Zero(t, o.Status, o.Out+o.Err)
	var sent int
	i := bytes.Index([]byte(o.Out), []byte("  messages     "))
	require.GreaterOrEqual(t, i, 0, o.Out)
	_, err := fmt.Sscanf(o.Out[i:], "  messages %d echoed", &sent)
	require.NoError(t, err)
	require.Positive(t, sent)
	require.Less(t, sent, 3000, "as fast as possible would be many thousands")
	require.Contains(t, o.Out, "from when each message was due, at 100/s")
}

func TestLoad_FailsWhenNothingIsEchoed(t *testing.T) {
	t.Parallel()
	_, addr := servetest.Start(t, "--split", "lines")
	o := consoletest.Run(t, "load", "--addr", addr, "--split", "frames", "--active", "2", "--duration", "300ms")
	require.Equal(t, console.ExitRuntime, o.Status, o.Out+o.Err)
	require.Contains(t, o.Out, "--split frames?")
}

func TestLoad_CountsErrorsByTheirCause(t *testing.T) {
	t.Parallel()
	_, addr := servetest.Start(t, "--max-sessions", "2")
	o := consoletest.Run(t, "load", "--addr", addr, "--active", "5", "--rate", "10", "--duration", "6s")
	require.Equal(t, console.ExitRuntime, o.Status, o.Out+o.Err)
	require.Regexp(t, `errors +[3-5]\n +[3-5]  closed by the server\n`, o.Out)
}

func TestLoad_ASignalEndsItEarlyAndItStillReports(t *testing.T) {
	t.Parallel()
	server, addr := servetest.Start(t)
	var out consoletest.Output
	p := consoletest.LaunchTo(t, &out, "load", "--addr", addr, "--active", "3", "--idle", "3", "--duration", "1h")
	out.Await(t, `open 6  messages [1-9]`)
	p.Signal(syscall.SIGINT)
	require.Equal(t, 130, p.Wait())
	require.Equal(t, "sessionwheel: interrupted\n", p.Logged())
	require.Regexp(t, `errors +0\n`, out.String())
	require.Contains(t, out.String(), "3 still open at the end")
	server.Signal(syscall.SIGTERM)
	require.Zero(t, server.Wait())
	requireNoneTorn(t, server)
}

func TestLoad_SaysThatAServerDoesNotSpeakTLS(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "this is no TLS\n")
			_ = c.Close()
		}
	}()
	o := consoletest.Run(t, "load", "--addr", ln.Addr().String(), "--tls")
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, ln.Addr().String(), "--tls")
}
