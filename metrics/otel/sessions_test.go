package otelmetrics_test

import (
	"context"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	otelmetrics "github.com/sessionwheel/sessionwheel/metrics/otel"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/udp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// nothing is a connection whose Close does nothing.
type nothing struct{}

func (nothing) Close() error { return nil }

func TestPool_OfAnyTypeIsExposed(t *testing.T) {
	pl, err := pool.New(pool.Config[string, nothing]{MaxSessions: 2})
	require.NoError(t, err)
	p, reader := provider(t)
	must(t)(otelmetrics.Pool(p, "games", pl.Stats))
	for _, id := range []string{"a", "b", "b", "c"} { // the second b is a duplicate, and c is too many
		_, _ = pl.Register(id, nothing{})
	}
	require.True(t, pl.CloseSession("a", "checkmate"))
	require.NoError(t, pl.Shutdown(t.Context()))
	_, err = pl.Register("late", nothing{})
	require.ErrorIs(t, err, pool.ErrPoolClosed)
	require.Equal(t, map[string]float64{
		"sessionwheel.sessions.open{server=games}":                    0,
		"sessionwheel.sessions.registered{server=games}":              2,
		"sessionwheel.sessions.closed{reason=Lifetime,server=games}":  0,
		"sessionwheel.sessions.closed{reason=Replaced,server=games}":  0,
		"sessionwheel.sessions.closed{reason=Shutdown,server=games}":  1,
		"sessionwheel.sessions.closed{reason=Timeout,server=games}":   0,
		"sessionwheel.sessions.closed{reason=Closed,server=games}":    0,
		"sessionwheel.sessions.closed{reason=checkmate,server=games}": 1,
		"sessionwheel.sessions.refused{cause=closed,server=games}":    1,
		"sessionwheel.sessions.refused{cause=duplicate,server=games}": 1,
		"sessionwheel.sessions.refused{cause=full,server=games}":      1,
		"sessionwheel.sessions.refused{cause=unclaimed,server=games}": 0,
	}, series(t, collect(t, reader)))
}

func TestReason_ThatLooksLikeAnotherIsCountedWithIt(t *testing.T) {
	p, reader := provider(t)
	must(t)(otelmetrics.Pool(p, "p", func() pool.Stats {
		return pool.Stats{ByReason: map[pool.Reason]uint64{
			"\xff": 1, "\xfe": 2, "\uFFFD": 4, "": 32,
			pool.Reason(strings.Repeat("x", 128)): 8, pool.Reason(strings.Repeat("x", 129)): 16,
		}}
	}))
	got := series(t, collect(t, reader))
	require.EqualValues(t, 7, got["sessionwheel.sessions.closed{reason=\uFFFD,server=p}"])
	require.EqualValues(t, 32, got["sessionwheel.sessions.closed{reason=(none),server=p}"])
	require.EqualValues(t, 24, got["sessionwheel.sessions.closed{reason="+strings.Repeat("x", 128)+",server=p}"])
}

func TestUDP_CollectionShowsWhatHappened(t *testing.T) {
	messages := make(chan string, 10)
	srv := &udp.Server{MaxDatagram: 10, OnMessage: func(_ *udp.Session, p []byte) { messages <- string(p) }}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(pc) }() // ends with Shutdown, waited for by the cleanup
	t.Cleanup(func() {
		require.NoError(t, srv.Shutdown(context.Background()))
		require.ErrorIs(t, <-served, udp.ErrServerClosed)
	})
	p, reader := provider(t)
	must(t)(otelmetrics.UDP(p, "game", srv))
	c, err := net.Dial("udp", pc.LocalAddr().String())
	require.NoError(t, err)
	defer c.Close()
	for _, text := range []string{"more than 10 bytes", "hello"} {
		_, err = c.Write([]byte(text))
		require.NoError(t, err)
	}
	require.Equal(t, "hello", next(t, messages))
	want := map[string]float64{
		"sessionwheel.sessions.open{server=game}":                        1,
		"sessionwheel.sessions.registered{server=game}":                  1,
		"sessionwheel.sessions.closed{reason=Closed,server=game}":        0,
		"sessionwheel.sessions.closed{reason=Lifetime,server=game}":      0,
		"sessionwheel.sessions.closed{reason=Panic,server=game}":         0,
		"sessionwheel.sessions.closed{reason=Replaced,server=game}":      0,
		"sessionwheel.sessions.closed{reason=Shutdown,server=game}":      0,
		"sessionwheel.sessions.closed{reason=Timeout,server=game}":       0,
		"sessionwheel.sessions.refused{cause=closed,server=game}":        0,
		"sessionwheel.sessions.refused{cause=full,server=game}":          0,
		"sessionwheel.sessions.refused{cause=per_ip,server=game}":        0,
		"sessionwheel.received.datagrams{server=game}":                   2,
		"sessionwheel.handled.datagrams{server=game}":                    1,
		"sessionwheel.dropped.datagrams{cause=bad_address,server=game}":  0,
		"sessionwheel.dropped.datagrams{cause=own_address,server=game}":  0,
		"sessionwheel.dropped.datagrams{cause=not_admitted,server=game}": 0,
		"sessionwheel.dropped.datagrams{cause=late,server=game}":         0,
		"sessionwheel.dropped.datagrams{cause=pending_full,server=game}": 0,
		"sessionwheel.dropped.datagrams{cause=too_large,server=game}":    1,
	}
	require.Eventually(t, func() bool { return maps.Equal(want, series(t, collect(t, reader))) }, patience, 10*time.Millisecond)
}

func TestFunctions_PanicOnNil(t *testing.T) {
	p, _ := provider(t)
	for text, f := range map[string]func(){
		"otelmetrics: Pool: stats is nil: pass the pool's Stats method": func() { _, _ = otelmetrics.Pool(p, "p", nil) },
		"otelmetrics: Server: srv is nil":                               func() { _, _ = otelmetrics.Server(p, "p", (*tcp.Server)(nil)) },
		"otelmetrics: UDP: srv is nil":                                  func() { _, _ = otelmetrics.UDP(p, "p", (*udp.Server)(nil)) },
		"otelmetrics: Wheel: w is nil":                                  func() { _, _ = otelmetrics.Wheel(p, "p", (*wheel.Wheel)(nil)) },
		"otelmetrics: Lateness: w is nil":                               func() { otelmetrics.Lateness("p", (*wheel.Wheel)(nil)) },
	} {
		require.PanicsWithValue(t, text, f)
	}
}
