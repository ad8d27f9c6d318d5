package otelmetrics_test

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	otelmetrics "github.com/sessionwheel/sessionwheel/metrics/otel"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

func TestServer_CollectionShowsWhatHappened(t *testing.T) {
	chat := start(t, &tcp.Server{
		MaxSessions: 2,
		OnMessage:   func(s *tcp.Session, p []byte) { _ = s.Send(append(p, "!\n"...)) },
	})
	p, reader := provider(t)
	registration := must(t)(otelmetrics.Server(p, "chat", chat.Server))

	first := chat.dial(t)
	firstSession := next(t, chat.opened)
	second := chat.dial(t)
	next(t, chat.opened)
	chat.dial(t)
	require.ErrorIs(t, next(t, chat.errors), pool.ErrFull)
	fmt.Fprint(first, "hello\n")
	line, err := bufio.NewReader(first).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello!\n", line)
	firstSession.SetIdleTimeout(time.Millisecond)
	require.Equal(t, pool.Timeout, next(t, chat.closed))
	require.NoError(t, second.Close())
	require.Equal(t, tcp.ReasonEOF, next(t, chat.closed))
	chat.dial(t)
	require.True(t, next(t, chat.opened).Close("\xff"))
	next(t, chat.closed)
	chat.dial(t)
	next(t, chat.opened)
	require.Eventually(t, func() bool { return chat.Stats().Parked == 1 }, time.Minute, time.Millisecond)

	found := collect(t, reader)
	require.Equal(t, map[string]float64{
		"sessionwheel.sessions.open{server=chat}":                       1,
		"sessionwheel.sessions.registered{server=chat}":                 4,
		"sessionwheel.sessions.closed{reason=BadFrame,server=chat}":     0,
		"sessionwheel.sessions.closed{reason=Closed,server=chat}":       0,
		"sessionwheel.sessions.closed{reason=EOF,server=chat}":          1,
		"sessionwheel.sessions.closed{reason=Error,server=chat}":        0,
		"sessionwheel.sessions.closed{reason=FrameTimeout,server=chat}": 0,
		"sessionwheel.sessions.closed{reason=Handshake,server=chat}":    0,
		"sessionwheel.sessions.closed{reason=Lifetime,server=chat}":     0,
		"sessionwheel.sessions.closed{reason=Overload,server=chat}":     0,
		"sessionwheel.sessions.closed{reason=Panic,server=chat}":        0,
		"sessionwheel.sessions.closed{reason=Replaced,server=chat}":     0,
		"sessionwheel.sessions.closed{reason=Shutdown,server=chat}":     0,
		"sessionwheel.sessions.closed{reason=Slow,server=chat}":         0,
		"sessionwheel.sessions.closed{reason=Timeout,server=chat}":      1,
		"sessionwheel.sessions.closed{reason=TooLarge,server=chat}":     0,
		"sessionwheel.sessions.closed{reason=\uFFFD,server=chat}":       1,
		"sessionwheel.sessions.refused{cause=closed,server=chat}":       0,
		"sessionwheel.sessions.refused{cause=full,server=chat}":         1,
		"sessionwheel.sessions.refused{cause=per_ip,server=chat}":       0,
		"sessionwheel.parked.sessions{server=chat}":                     1,
		"sessionwheel.received.bytes{server=chat}":                      6,
		"sessionwheel.received.frames{server=chat}":                     1,
		"sessionwheel.sent.bytes{server=chat}":                          7,
		"sessionwheel.sent.frames{server=chat}":                         1,
		"sessionwheel.outbound.bytes{server=chat}":                      0,
		"sessionwheel.dropped.frames{server=chat}":                      0,
		"sessionwheel.slow.sessions{server=chat}":                       0,
		"sessionwheel.accept.errors{server=chat}":                       0,
		"sessionwheel.probes{server=chat}":                              1,
	}, series(t, found))
	for name, want := range map[string]struct {
		unit      string
		monotonic bool
	}{
		"sessionwheel.sessions.open":   {"{session}", false},
		"sessionwheel.sessions.closed": {"{session}", true},
		"sessionwheel.received.bytes":  {"By", true},
		"sessionwheel.sent.frames":     {"{frame}", true},
		"sessionwheel.outbound.bytes":  {"By", false},
		"sessionwheel.dropped.frames":  {"{frame}", true},
		"sessionwheel.slow.sessions":   {"{session}", true},
	} {
		require.Equal(t, want.unit, found[name].Unit, name)
		require.NotEmpty(t, found[name].Description, name)
		require.Equal(t, want.monotonic, found[name].Data.(metricdata.Sum[int64]).IsMonotonic, name)
	}

	require.NoError(t, registration.Unregister())
	require.Empty(t, series(t, collect(t, reader)))
}

// fill posts to a session whose peer does not read until the sockets take nothing any more:
// their buffers grow for a while.
func fill(s *tcp.Session) (frames, drops int) {
	for refused := 0; refused < 20; refused++ {
		for s.Post(make([]byte, 30<<10)) == nil {
			frames++
			refused = 0
		}
		drops++
		time.Sleep(5 * time.Millisecond)
	}
	return frames, drops
}

// The peer does not read, so that what is posted to it waits, and then is dropped.
func TestServer_ShowsAPeerThatDoesNotRead(t *testing.T) {
	p, reader := provider(t)
	chat := start(t, &tcp.Server{MaxOutbound: 100 << 10, Overflow: tcp.DropNewest, WriteTimeout: -1})
	must(t)(otelmetrics.Server(p, "chat", chat.Server))
	chat.dial(t)
	s := next(t, chat.opened)
	_, drops := fill(s)
	require.Positive(t, s.Outbound())
	var got map[string]float64
	require.Eventually(t, func() bool { // the sockets may still take some
		got = series(t, collect(t, reader))
		return got["sessionwheel.outbound.bytes{server=chat}"] == float64(s.Outbound())
	}, patience, 10*time.Millisecond)
	require.EqualValues(t, drops, got["sessionwheel.dropped.frames{server=chat}"])
	require.True(t, s.Close(tcp.ReasonSlow))
	next(t, chat.closed)
	require.EqualValues(t, 1, series(t, collect(t, reader))["sessionwheel.slow.sessions{server=chat}"])
}

func TestServer_IsToldApartFromOthersByItsName(t *testing.T) {
	p, reader := provider(t)
	a, b := start(t, &tcp.Server{}), start(t, &tcp.Server{MaxSessionsPerIP: 1})
	must(t)(otelmetrics.Server(p, "a", a.Server))
	registration := must(t)(otelmetrics.Server(p, "b\xff", b.Server))
	for range 2 {
		a.dial(t)
		next(t, a.opened)
		b.dial(t)
	}
	next(t, b.opened)
	next(t, b.errors)
	got := series(t, collect(t, reader))
	require.EqualValues(t, 2, got["sessionwheel.sessions.open{server=a}"])
	require.EqualValues(t, 1, got["sessionwheel.sessions.open{server=b\uFFFD}"])
	require.EqualValues(t, 0, got["sessionwheel.sessions.refused{cause=per_ip,server=a}"])
	require.EqualValues(t, 1, got["sessionwheel.sessions.refused{cause=per_ip,server=b\uFFFD}"])

	require.NoError(t, registration.Unregister())
	got = series(t, collect(t, reader))
	require.Contains(t, got, "sessionwheel.sessions.open{server=a}")
	require.NotContains(t, got, "sessionwheel.sessions.open{server=b\uFFFD}")
}

// Several goroutines collect while sessions open, exchange data and close.
func TestCounters_NeverGoDownUnderConcurrentCollections(t *testing.T) {
	chat := start(t, &tcp.Server{OnMessage: func(s *tcp.Session, p []byte) { _ = s.Send(append(p, '\n')) }})
	p, reader := provider(t)
	must(t)(otelmetrics.Server(p, "chat", chat.Server))
	const clients, sessions, collectors, collections = 4, 50, 4, 50
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range sessions {
				c := chat.dial(t)
				fmt.Fprintln(c, "hello")
				if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
					t.Error(err)
				}
				_ = c.Close()
			}
		})
	}
	for range collectors {
		all.Go(func() {
			var before int64
			for range collections {
				var rm metricdata.ResourceMetrics
				if err := reader.Collect(context.Background(), &rm); err != nil {
					t.Error(err)
					return
				}
				for _, m := range rm.ScopeMetrics[0].Metrics {
					if m.Name == "sessionwheel.sessions.registered" {
						now := m.Data.(metricdata.Sum[int64]).DataPoints[0].Value
						if now < before {
							t.Errorf("registered went from %d down to %d", before, now)
						}
						before = now
					}
				}
			}
		})
	}
	all.Wait()
	require.Eventually(t, func() bool {
		return series(t, collect(t, reader))["sessionwheel.sessions.closed{reason=EOF,server=chat}"] == clients*sessions
	}, patience, 10*time.Millisecond)
}

func TestProvider_ThatDoesNothingIsAccepted(t *testing.T) {
	r := must(t)(otelmetrics.Server(noop.NewMeterProvider(), "chat", &tcp.Server{}))
	require.NoError(t, r.Unregister())
}
