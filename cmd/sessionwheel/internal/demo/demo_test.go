package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/pool"
)

// small is a demo that is over in a second.
var small = Config{Clients: 40, Idle: 300 * time.Millisecond, Active: 0.5}

func TestDemo_PassesAndEndsAllItStarted(t *testing.T) {
	before := runtime.NumGoroutine()
	var out bytes.Buffer
	require.NoError(t, Run(t.Context(), &out, small), out.String())
	require.Contains(t, out.String(), "PASSED")
	require.Regexp(t, `sessions registered +40\n`, out.String())
	require.Contains(t, out.String(), "of 20 that fell silent")
	require.Regexp(t, `p50 \S+ +p99 \S+ +max \S+`, out.String())
	require.NotContains(t, out.String(), "\x1b", "no control codes where there is no terminal")
	require.NotContains(t, out.String(), "\r")
	require.NotRegexp(t, `(?m)^.{81,}$`, out.String())
	goroutinesEnd(t, before)
}

// goroutinesEnd requires that there are soon no more goroutines than before.
func goroutinesEnd(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(consoletest.Patience); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			require.FailNow(t, "goroutines go on", "%s", stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestDemo_PassesWithOnlyOneKindOfClient(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0, 1} {
		cfg := small
		cfg.Clients, cfg.Active = 9, share
		var out bytes.Buffer
		require.NoError(t, Run(t.Context(), &out, cfg), out.String())
		require.Contains(t, out.String(), "PASSED")
	}
}

func TestDemo_FailsWhenSilentSessionsStayOpen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	d := newDemo(&out, small)
	d.server.IdleTimeout = -1
	d.patience = 10 * time.Millisecond
	require.ErrorIs(t, d.run(t.Context()), console.ErrFailed)
	require.Contains(t, out.String(), "FAILED: 20 sessions silent and still open")
}

func TestDemo_FailsWhenSessionsAreClosedEarly(t *testing.T) {
	t.Parallel()
	cfg := small
	cfg.Idle, cfg.Active = 3*time.Second, 0
	cfg.Duration = 500 * time.Millisecond
	var out bytes.Buffer
	d := newDemo(&out, cfg)
	d.server.IdleTimeout = 300 * time.Millisecond
	require.ErrorIs(t, d.run(t.Context()), console.ErrFailed)
	require.Regexp(t, `FAILED: [\s\S]*closed before the idle timeout had passed`, out.String())
}

func TestDemo_ReportsClientsThatCannotConnect(t *testing.T) {
	t.Parallel()
	d := newDemo(io.Discard, small)
	d.clients.failed(syscall.ECONNREFUSED)
	require.ErrorContains(t, d.run(t.Context()), "--clients")
}

func TestDemo_EndsAtOnceWhenItsContextDoes(t *testing.T) {
	before := runtime.NumGoroutine()
	why := errors.New("stopped by the test")
	for _, after := range []time.Duration{0, 20 * time.Millisecond, 400 * time.Millisecond} {
		ctx, cancel := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(after, func() { cancel(why) })
		cfg := small
		cfg.Idle = time.Hour
		require.ErrorIs(t, Run(ctx, io.Discard, cfg), why)
		timer.Stop()
	}
	goroutinesEnd(t, before)
}

func TestVerdict_FitsTheTerminalWhateverHappened(t *testing.T) {
	v := verdict{
		registered: 100_000, timedOut: 100_000, open: 100_000, lateness: console.Spread{time.Second, 10 * time.Second},
		starved: 100_000, longestGap: 123 * time.Second, stalled: 123 * time.Second,
	}
	cfg := Config{Clients: 100_000, Idle: 100 * time.Second, Active: 0.5}
	var out bytes.Buffer
	v.print(console.NewScreen(&out), cfg, time.Hour)
	require.Contains(t, out.String(), "whose client talked in time")
	v.early, v.silentOpen, v.activeClosed, v.unseen, v.unregistered = 100_000, 100_000, 100_000, 100_000, 100_000
	v.print(console.NewScreen(&out), cfg, time.Hour)
	require.Contains(t, out.String(), "FAILED")
	require.NotRegexp(t, `(?m)^.{81,}$`, out.String())
}

func TestVerdict_TellsOfTheSessionsClosedLastHowLateADeadlineCame(t *testing.T) {
	v := verdict{closedLast: []pool.ClosedSession[int64]{
		{ID: 7, Address: "127.0.0.1:40001", Reason: pool.Timeout, Late: 9 * time.Millisecond},
		{ID: 1234567, Address: "127.0.0.1:40002", Reason: "EOF"},
		{ID: 1},
		{ID: 2},
		{ID: 3},
		{ID: 4},
	}}
	var out bytes.Buffer
	v.printClosedLast(console.NewScreen(&out))
	require.Equal(t, "\n  Closed last:\n"+
		"    session 7      127.0.0.1:40001       \"Timeout\", 9ms late\n"+
		"    session 1234567 127.0.0.1:40002       \"EOF\"\n", out.String()[:strings.Index(out.String(), "    session 1 ")])
	require.Equal(t, closedShown, strings.Count(out.String(), "session "))
}
