package metrics_test

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/metrics"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

func TestUDP_ScrapeShowsWhatHappened(t *testing.T) {
	messages, closed := make(chan string, 10), make(chan pool.Reason, 10)
	srv := &udp.Server{
		MaxSessions: 1,
		MaxDatagram: 10,
		OnMessage: func(s *udp.Session, p []byte) {
			messages <- string(p)
			if string(p) == "panic" {
				panic("on purpose")
			}
		},
		OnSessionClosed: func(_ *udp.Session, r pool.Reason) { closed <- r },
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(pc) }() // ends with Shutdown, waited for by the cleanup
	t.Cleanup(func() {
		require.NoError(t, srv.Shutdown(context.Background()))
		require.ErrorIs(t, <-served, udp.ErrServerClosed)
	})
	dial := func() net.Conn {
		c, err := net.Dial("udp", pc.LocalAddr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	send := func(c net.Conn, text string) {
		_, err := c.Write([]byte(text))
		require.NoError(t, err)
	}
	url := exposed(t, registry(t, metrics.UDP("game", srv)))
	await := func(series string, v float64) {
		t.Helper()
		require.Eventually(t, func() bool {
			found, err := scrape(url, asText)
			return err == nil && found.series()[series] == v
		}, patience, patience/1000, "%s does not become %v", series, v)
	}

	player, other := dial(), dial()
	send(player, "hello")
	require.Equal(t, "hello", next(t, messages))
	send(player, "more than 10 bytes")
	await(`sessionwheel_dropped_datagrams_total{cause="too_large", server="game"}`, 1)
	send(other, "full")
	await(`sessionwheel_sessions_refused_total{cause="full", server="game"}`, 1)
	await(`sessionwheel_sessions_open{server="game"}`, 1)
	send(player, "panic")
	require.Equal(t, udp.ReasonPanic, next(t, closed))
	await(`sessionwheel_sessions_open{server="game"}`, 0)

	found, err := scrape(url, asProtobuf)
	require.NoError(t, err)
	require.Equal(t, map[string]float64{
		`sessionwheel_sessions_open{server="game"}`:                                 0,
		`sessionwheel_sessions_registered_total{server="game"}`:                     1,
		`sessionwheel_sessions_closed_total{reason="Closed", server="game"}`:        0,
		`sessionwheel_sessions_closed_total{reason="Lifetime", server="game"}`:      0,
		`sessionwheel_sessions_closed_total{reason="Panic", server="game"}`:         1,
		`sessionwheel_sessions_closed_total{reason="Replaced", server="game"}`:      0,
		`sessionwheel_sessions_closed_total{reason="Shutdown", server="game"}`:      0,
		`sessionwheel_sessions_closed_total{reason="Timeout", server="game"}`:       0,
		`sessionwheel_sessions_refused_total{cause="closed", server="game"}`:        0,
		`sessionwheel_sessions_refused_total{cause="full", server="game"}`:          1,
		`sessionwheel_sessions_refused_total{cause="per_ip", server="game"}`:        0,
		`sessionwheel_received_datagrams_total{server="game"}`:                      4,
		`sessionwheel_handled_datagrams_total{server="game"}`:                       2,
		`sessionwheel_dropped_datagrams_total{cause="too_large", server="game"}`:    1,
		`sessionwheel_dropped_datagrams_total{cause="pending_full", server="game"}`: 0,
		`sessionwheel_dropped_datagrams_total{cause="bad_address", server="game"}`:  0,
		`sessionwheel_dropped_datagrams_total{cause="own_address", server="game"}`:  0,
		`sessionwheel_dropped_datagrams_total{cause="not_admitted", server="game"}`: 0,
		`sessionwheel_dropped_datagrams_total{cause="late", server="game"}`:         0,
	}, found.series())
}
