package metrics_test

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// patience is how long a test waits for something that must happen.
const patience = 30 * time.Second

// The formats that a scraper may ask for.
const (
	asText     = "text/plain"
	asProtobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

// registry returns a pedantic registry, which compares each scrape with the
// descriptions of its collectors.
func registry(t testing.TB, collectors ...prometheus.Collector) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	for _, c := range collectors {
		require.NoError(t, reg.Register(c))
	}
	return reg
}

// exposed serves a registry's metrics over HTTP until the test ends, and returns the
// URL.
func exposed(t testing.TB, reg *prometheus.Registry) (url string) {
	t.Helper()
	s := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	t.Cleanup(s.Close)
	return s.URL
}

// families holds the metrics of one scrape, by name.
type families map[string]*dto.MetricFamily

func scrape(url, accept string) (families, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	found := make(families)
	for d := expfmt.NewDecoder(resp.Body, expfmt.ResponseFormat(resp.Header)); ; {
		var mf dto.MetricFamily
		switch err := d.Decode(&mf); err {
		case nil:
			found[mf.GetName()] = &mf
		case io.EOF:
			return found, nil
		default:
			return nil, err
		}
	}
}

func gather(t testing.TB, reg *prometheus.Registry) families {
	t.Helper()
	all, err := reg.Gather()
	require.NoError(t, err)
	found := make(families)
	for _, mf := range all {
		found[mf.GetName()] = mf
	}
	return found
}

// series returns the values of all counters and gauges, by name{label="value",...}.
func (f families) series() map[string]float64 {
	values := make(map[string]float64)
	for name, mf := range f {
		for _, m := range mf.Metric {
			labels := model.Metric{}
			for _, l := range m.Label {
				labels[model.LabelName(l.GetName())] = model.LabelValue(l.GetValue())
			}
			key := name + labels.String()
			switch {
			case m.Counter != nil:
				values[key] = m.Counter.GetValue()
			case m.Gauge != nil:
				values[key] = m.Gauge.GetValue()
			}
		}
	}
	return values
}

// counters returns the names of the counters among the series.
func (f families) counters() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if f[name].GetType() == dto.MetricType_COUNTER {
			names = append(names, name)
		}
	}
	return names
}

// of returns the values whose key has the given prefix and contains the text.
func of(values map[string]float64, prefix, text string) map[string]float64 {
	kept := make(map[string]float64)
	for key, v := range values {
		if strings.HasPrefix(key, prefix) && strings.Contains(key, text) {
			kept[key] = v
		}
	}
	return kept
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
