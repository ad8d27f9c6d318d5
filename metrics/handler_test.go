package metrics_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/pipes"
	"github.com/sessionwheel/sessionwheel/metrics"
)

func TestHandler_AScraperThatDoesNotReadDelaysNoOtherAndIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "g"}))
		l := pipes.New()
		mux := http.NewServeMux()
		mux.Handle("/", metrics.Handler(reg))
		mux.HandleFunc("/other", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "g 0, elsewhere") })
		srv := &http.Server{Handler: mux}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }() // ends with Close
		var idle []net.Conn
		for range 20 {
			conn := l.Dial()
			_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
			require.NoError(t, err)
			idle = append(idle, conn)
		}
		dials := 0
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { dials++; return l.Dial(), nil }}
		client := &http.Client{Transport: transport}
		began := time.Now()
		for _, path := range []string{"/", "/", "/other"} { // on one connection, more than ten seconds apart
			answer, err := client.Get("http://localhost" + path)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, answer.StatusCode)
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.Contains(t, string(body), "g 0")
			require.NoError(t, answer.Body.Close())
			require.Zero(t, time.Since(began)%(15*time.Second), "it waits for nobody")
			time.Sleep(15 * time.Second)
		}
		require.Equal(t, 1, dials, "the limit of one answer does not end the next")
		for _, conn := range idle {
			_, err := conn.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF, "ended")
			require.NoError(t, conn.Close())
		}
		transport.CloseIdleConnections()
		require.NoError(t, srv.Close())
		<-served
	})
}

func TestHandler_RefusesOtherSites(t *testing.T) {
	h := metrics.Handler(prometheus.NewRegistry())
	for _, header := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
		{"Origin": "http://evil.example"},
		{"Referer": "http://evil.example/"},
		{"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"},
	} {
		w := ask(h, header)
		require.Equal(t, http.StatusForbidden, w.Code, header)
		require.Equal(t, "same-origin", w.Header().Get("Cross-Origin-Resource-Policy"))
	}
	for _, header := range []map[string]string{{}, {"Sec-Fetch-Site": "same-origin"}, {"User-Agent": "Prometheus/3.5.0"}} {
		w := ask(h, header)
		require.Equal(t, http.StatusOK, w.Code, header)
		require.Equal(t, "same-origin", w.Header().Get("Cross-Origin-Resource-Policy"))
	}
}

func ask(h http.Handler, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/metrics", nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
