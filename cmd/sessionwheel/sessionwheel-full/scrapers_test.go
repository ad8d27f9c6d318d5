package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

func TestMetrics_AreServedWhileOthersScrapeAndDoNotRead(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0", "--metrics")
	page := servetest.Page(p)
	servetest.RequestWithoutReading(t, page, "metrics", 8)
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		status, body := servetest.Get(t, page+"metrics")
		require.Equal(t, 200, status, body)
		require.Contains(t, body, "sessionwheel_sessions_open")
	}
}
