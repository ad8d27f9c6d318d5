package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

func TestDemo_RunsWithoutACommand(t *testing.T) {
	t.Parallel()
	o := consoletest.Run(t, "--clients", "10", "--idle", "200ms")
	require.Zero(t, o.Status, o.Out+o.Err)
	require.Contains(t, o.Out, "PASSED")
	require.Empty(t, o.Err)
}

func TestDemo_ASignalEndsItWithASummary(t *testing.T) {
	t.Parallel()
	for sig, want := range map[syscall.Signal]consoletest.Outcome{
		syscall.SIGINT:  {Status: 130, Err: "sessionwheel: interrupted\n"},
		syscall.SIGTERM: {Status: 143, Err: "sessionwheel: stopped by signal: terminated\n"},
	} {
		var out consoletest.Output
		p := consoletest.LaunchTo(t, &out, "--clients", "10", "--active", "0.5", "--idle", "400ms", "--duration", "1h")
		out.Await(t, `closed "Timeout" [1-9]`) // in a line of its progress
		p.Signal(sig)
		require.Equal(t, want.Status, p.Wait())
		require.Equal(t, want.Err, p.Logged())
		require.Regexp(t, `\nInterrupted after \S+, before the verdict:\n\n  sessions registered +10\n  closed with "Timeout" +\d\n  still open +\d\n`, out.String())
		require.Regexp(t, `Closed last:\n +session \d+ +127\.0\.0\.1:\d+ +"Timeout", \S+ late\n`, out.String())
		require.Regexp(t, `How late "Timeout" came[\s\S]* p50 \S+ +p99 \S+ +max \S+\n`, out.String())
		require.NotContains(t, out.String(), "PASSED")
	}
}

func TestDemo_ASignalAtItsBeginningEndsIt(t *testing.T) {
	t.Parallel()
	var out consoletest.Output
	p := consoletest.LaunchTo(t, &out, "--clients", "10", "--idle", "1h")
	out.Await(t, `A server on`)
	p.Signal(syscall.SIGINT)
	require.Equal(t, 130, p.Wait())
	require.Contains(t, out.String(), "Interrupted after")
}

func TestDemo_ItsPageGoesOnAfterTheVerdictUntilCtrlC(t *testing.T) {
	t.Parallel()
	var out consoletest.Output
	p := consoletest.LaunchTo(t, &out, "--http", "0", "--clients", "40", "--idle", "300ms")
	page := out.Await(t, `The page is at (http://\S+) until Ctrl-C\.\n`)
	before, _, _ := strings.Cut(out.String(), page)
	require.NotContains(t, before, "PASSED", "the address comes first")
	status, body := servetest.Get(t, page)
	require.Equal(t, 200, status)
	require.Contains(t, body, "<html")
	out.Await(t, `PASSED[\s\S]*The page goes on, with clients that come and go: `+page)
	require.Eventually(t, func() bool { // 40 clients were judged; these come after
		all, timedOut := servetest.Registered(t, page, "Timeout")
		return all > 60 && timedOut > 25
	}, consoletest.Patience, 20*time.Millisecond)
	p.Signal(syscall.SIGINT)
	require.Zero(t, p.Wait(), "%s%s", out.String(), p.Logged())
	require.Empty(t, p.Logged())
}
