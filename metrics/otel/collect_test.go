package otelmetrics_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// patience is how long a test waits for something that must happen.
const patience = 30 * time.Second

// provider returns a provider and its reader, which collects on demand.
func provider(t testing.TB, options ...sdkmetric.ManualReaderOption) (*sdkmetric.MeterProvider, *sdkmetric.ManualReader) {
	t.Helper()
	reader := sdkmetric.NewManualReader(options...)
	p := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	t.Cleanup(func() { require.NoError(t, p.Shutdown(context.Background())) })
	return p, reader
}

// must returns a function that fails the test if a registration has an error.
func must(t testing.TB) func(metric.Registration, error) metric.Registration {
	return func(r metric.Registration, err error) metric.Registration {
		t.Helper()
		require.NoError(t, err)
		return r
	}
}

// collect returns the current metrics by name.
func collect(t testing.TB, reader sdkmetric.Reader) map[string]metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &rm))
	found := make(map[string]metricdata.Metrics)
	for _, sm := range rm.ScopeMetrics {
		require.Equal(t, "github.com/sessionwheel/sessionwheel/metrics/otel", sm.Scope.Name)
		for _, m := range sm.Metrics {
			require.NotContains(t, found, m.Name)
			found[m.Name] = m
		}
	}
	return found
}

// series returns all values except the histogram's, by name{key=value,...}.
func series(t testing.TB, found map[string]metricdata.Metrics) map[string]float64 {
	t.Helper()
	values := make(map[string]float64)
	add := func(name string, attributes attribute.Set, v float64) {
		values[name+"{"+attributes.Encoded(attribute.DefaultEncoder())+"}"] = v
	}
	for name, m := range found {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			require.Equal(t, metricdata.CumulativeTemporality, data.Temporality, name)
			for _, p := range data.DataPoints {
				add(name, p.Attributes, float64(p.Value))
			}
		case metricdata.Gauge[float64]:
			for _, p := range data.DataPoints {
				add(name, p.Attributes, p.Value)
			}
		case metricdata.ExponentialHistogram[float64]:
		default:
			require.Failf(t, "an unexpected kind of metric", "%s is %T", name, data)
		}
	}
	return values
}

// started is a TCP server that serves until the end of the test.
type started struct {
	*tcp.Server
	addr   string
	opened chan *tcp.Session
	closed chan pool.Reason
	errors chan error
}

func start(t testing.TB, srv *tcp.Server) started {
	t.Helper()
	s := started{srv, "", make(chan *tcp.Session, 1000), make(chan pool.Reason, 1000), make(chan error, 1000)}
	srv.OnNewSessionRegister = func(ts *tcp.Session) { s.opened <- ts }
	srv.OnSessionClosed = func(_ *tcp.Session, r pool.Reason) { s.closed <- r }
	srv.OnError = func(_ *tcp.Session, err error) { s.errors <- err }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with Shutdown, waited for by the cleanup
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		require.ErrorIs(t, <-served, tcp.ErrServerClosed)
	})
	return s
}

func (s started) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// next receives a value from ch, and fails the test if none arrives in time.
func next[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		require.FailNow(t, "it did not happen")
		panic("unreachable")
	}
}
