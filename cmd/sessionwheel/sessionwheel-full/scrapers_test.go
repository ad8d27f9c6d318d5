package main

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

func TestMetrics_AreServedWhileOthersScrapeAndDoNotRead(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0", "--metrics")
	page := servetest.Page(p)
	requests := strings.Repeat("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n\r\n", 2000)
	for range 8 {
		conn, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(page, "http:"), "/"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
		go func() { _, _ = io.WriteString(conn, requests) }() // ends with the connection
	}
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		status, body := servetest.Get(t, page+"metrics")
		require.Equal(t, 200, status, body)
		require.Contains(t, body, "sessionwheel_sessions_open")
	}
}
