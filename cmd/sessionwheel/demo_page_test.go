package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

// output is what a demo has written so far.
type output struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// await waits until the output matches, and returns the first group.
func (o *output) await(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(consoletest.Patience); ; time.Sleep(10 * time.Millisecond) {
		if m := re.FindStringSubmatch(o.String()); m != nil {
			return m[len(m)-1]
		}
		require.True(t, time.Now().Before(deadline), "%q in:\n%s", pattern, o.String())
	}
}

// withPage is the small demo with a page.
func withPage() demoConfig {
	cfg := small
	cfg.httpConfig = httpConfig{HTTP: "0", Page: true, Metrics: true, Healthz: true, Pprof: true}
	return cfg
}

// registered is how many sessions a page tells of, and how many of them closed
// with a reason.
func registered(t *testing.T, page, reason string) (all, closed int) {
	t.Helper()
	status, body := get(t, page+"api/stats")
	require.Equal(t, 200, status)
	var st struct {
		Sessions struct {
			Registered int            `json:"registered"`
			ByReason   map[string]int `json:"closed_by_reason"`
		} `json:"sessions"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &st))
	return st.Sessions.Registered, st.Sessions.ByReason[reason]
}

func TestTheDemosPageGoesOnAfterTheVerdictUntilCtrlC(t *testing.T) {
	t.Parallel()
	var out output
	p := consoletest.LaunchTo(t, &out, "--http", "0", "--clients", "40", "--idle", "300ms")
	page := out.await(t, `The page is at (http://\S+) until Ctrl-C\.\n`)
	require.NotContains(t, out.String(), "PASSED", "the address comes first")
	status, body := get(t, page)
	require.Equal(t, 200, status)
	require.Contains(t, body, "<html")
	out.await(t, `PASSED[\s\S]*The page goes on, with clients that come and go: `+page)
	require.Eventually(t, func() bool { // 40 clients were judged; these come after
		all, timedOut := registered(t, page, "Timeout")
		return all > 60 && timedOut > 25
	}, consoletest.Patience, 20*time.Millisecond)
	p.Signal(syscall.SIGINT)
	require.Zero(t, p.Wait(), "%s%s", out.String(), p.Logged())
	require.Empty(t, p.Logged())
}

func TestTheDemosStatusIsTheVerdictsThoughThePageWentOn(t *testing.T) {
	before := runtime.NumGoroutine()
	var out output
	d := newDemo(&out, withPage())
	d.server.IdleTimeout = -1
	d.patience = 10 * time.Millisecond
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	out.await(t, `FAILED[\s\S]*The page goes on`)
	select {
	case err := <-ended:
		require.FailNow(t, "it ended by itself", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	require.Eventually(t, func() bool {
		all, _ := registered(t, d.page.url, "")
		return all > small.Clients
	}, consoletest.Patience, 10*time.Millisecond)
	cancel(errors.New("enough"))
	require.ErrorIs(t, <-ended, console.ErrFailed)
	require.Len(t, d.witness.ended, small.Clients, "of those that come after the verdict nothing is kept")
	goroutinesEnd(t, before)
}

func TestADemoWithAPageThatIsCutShortEndsAllItStarted(t *testing.T) {
	before := runtime.NumGoroutine()
	why := errors.New("enough")
	for _, after := range []time.Duration{0, 20 * time.Millisecond, 400 * time.Millisecond} {
		ctx, cancel := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(after, func() { cancel(why) })
		cfg := withPage()
		cfg.Idle = time.Hour
		require.ErrorIs(t, runDemo(ctx, io.Discard, cfg), why)
		timer.Stop()
	}
	goroutinesEnd(t, before)
}

func TestTheDemosPageNamesAFlagForAnAddressInUse(t *testing.T) {
	t.Parallel()
	_, addr := serving(t)
	cfg := withPage()
	cfg.HTTP = addr
	err := runDemo(t.Context(), io.Discard, cfg)
	require.ErrorContains(t, err, "in use")
	require.ErrorContains(t, err, "--http")
}
