package main

import (
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

func TestMetrics_OfANodeAreWellNamedAndOthersHaveNone(t *testing.T) {
	t.Parallel()
	p, _, _ := firstNode(t, "a", "--http", "0", "--metrics")
	_, body := servetest.Get(t, servetest.Page(p)+"metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	require.NoError(t, err)
	for _, problem := range problems {
		require.NotContains(t, problem.Metric, "cluster", problem.Text)
	}
	require.Equal(t, 3, strings.Count(body, "\n# HELP sessionwheel_cluster_"))
	p, _ = servetest.Start(t, "--http", "0", "--metrics")
	_, body = servetest.Get(t, servetest.Page(p)+"metrics")
	require.NotContains(t, body, "sessionwheel_cluster_")
}

func TestMetrics_OfServeCountWhatItDoes(t *testing.T) {
	t.Parallel()
	p, addr := servetest.Start(t, "--http", "0", "--metrics", "--idle", "1h")
	c := servetest.Connect(t, addr, "lines", nil)
	_, _, err := c.Send([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, c.Receive())
	counted := regexp.MustCompile(`(?m)^sessionwheel_received_frames_total\S* 1$`)
	status, body := servetest.Get(t, servetest.Page(p)+"metrics")
	// A frame is counted when its callback has returned, which may be after the reply.
	for end := time.Now().Add(time.Minute); !counted.MatchString(body); status, body = servetest.Get(t, servetest.Page(p)+"metrics") {
		require.True(t, time.Now().Before(end), body)
		time.Sleep(10 * time.Millisecond)
	}
	require.Equal(t, 200, status)
	require.Contains(t, body, "go_goroutines")
	require.Regexp(t, `(?m)^sessionwheel_lateness_seconds_count\S* 0$`, body)

	p, _ = servetest.Start(t, "--http", "0")
	status, body = servetest.Get(t, servetest.Page(p)+"metrics")
	require.Equal(t, 404, status)
	require.Contains(t, body, "--metrics")
}

func TestMetrics_OfTheDemoAreBesideItsPage(t *testing.T) {
	t.Parallel()
	var out consoletest.Output
	p := consoletest.LaunchTo(t, &out, "demo", "--http", "0", "--metrics", "--clients", "4", "--idle", "200ms")
	page := out.Await(t, `The page is at (http://\S+) until Ctrl-C\.\n`)
	status, body := servetest.Get(t, page+"metrics")
	require.Equal(t, 200, status)
	require.Contains(t, body, "sessionwheel_lateness_seconds_count")
	out.Await(t, `The page goes on`)
	p.Signal(syscall.SIGINT)
	require.Zero(t, p.Wait(), out.String())
}
