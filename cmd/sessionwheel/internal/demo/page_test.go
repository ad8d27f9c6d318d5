package demo

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/web"
)

// withPage is the small demo with a page.
func withPage() Config {
	cfg := small
	cfg.HTTP = web.Config{HTTP: "0", Page: true, Healthz: true, Pprof: true}
	return cfg
}

func TestPage_TheStatusIsTheVerdictsAlthoughThePageWentOn(t *testing.T) {
	before := runtime.NumGoroutine()
	var out consoletest.Output
	d := newDemo(&out, withPage())
	d.server.IdleTimeout = -1
	d.patience = 10 * time.Millisecond
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	out.Await(t, `FAILED[\s\S]*The page goes on`)
	select {
	case err := <-ended:
		require.FailNow(t, "it ended by itself", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	require.Eventually(t, func() bool {
		all, _ := servetest.Registered(t, d.page.URL, "")
		return all > small.Clients
	}, consoletest.Patience, 10*time.Millisecond)
	cancel(errors.New("stopped by the test"))
	require.ErrorIs(t, <-ended, console.ErrFailed)
	require.Len(t, d.recorder.ended, small.Clients, "of those that come after the verdict nothing is kept")
	goroutinesEnd(t, before)
}

func TestPage_ADemoThatIsCutShortEndsAllItStarted(t *testing.T) {
	before := runtime.NumGoroutine()
	why := errors.New("stopped by the test")
	for _, after := range []time.Duration{0, 20 * time.Millisecond, 400 * time.Millisecond} {
		ctx, cancel := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(after, func() { cancel(why) })
		cfg := withPage()
		cfg.Idle = time.Hour
		require.ErrorIs(t, Run(ctx, io.Discard, cfg), why)
		timer.Stop()
	}
	goroutinesEnd(t, before)
}

func TestPage_NamesAFlagForAnAddressInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	cfg := withPage()
	cfg.HTTP.HTTP = taken.Addr().String()
	err = Run(t.Context(), io.Discard, cfg)
	require.ErrorContains(t, err, "in use")
	require.ErrorContains(t, err, "--http")
}
