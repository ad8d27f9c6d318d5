package grafana_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/metrics"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/udp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

const (
	patience = 30 * time.Second

	asText     = "text/plain;version=0.0.4"
	asProtobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

// busy is a TCP server, a UDP server and their wheel. Its method work keeps them
// busy.
type busy struct {
	wheel *wheel.Wheel
	tcp   *tcp.Server
	udp   *udp.Server

	tcpAddr, udpAddr string
	registry         *prometheus.Registry
	url              string // of the metrics
}

func newBusy(t testing.TB) *busy {
	t.Helper()
	b := new(busy)
	var err error
	b.wheel, err = wheel.New(wheel.Config{})
	require.NoError(t, err)
	t.Cleanup(b.wheel.Close)
	b.tcp = &tcp.Server{
		Wheel:       b.wheel,
		MaxSessions: 2,
		OnMessage: func(s *tcp.Session, p []byte) {
			_ = s.Send(append(p, '\n'))
			if string(p) == "idle" {
				s.SetIdleTimeout(time.Millisecond)
			}
		},
	}
	b.udp = &udp.Server{MaxDatagram: 10, OnMessage: func(s *udp.Session, p []byte) { _ = s.Send(p) }}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	b.tcpAddr, b.udpAddr = l.Addr().String(), pc.LocalAddr().String()
	served := make(chan error, 2)
	go func() { served <- b.tcp.Serve(l) }()  // ends with Shutdown, waited for by the cleanup
	go func() { served <- b.udp.Serve(pc) }() // as well
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, b.tcp.Shutdown(ctx))
		require.NoError(t, b.udp.Shutdown(ctx))
		for range cap(served) {
			require.Error(t, <-served)
		}
	})

	b.registry = prometheus.NewPedanticRegistry()
	b.registry.MustRegister(metrics.Wheel("main", b.wheel), metrics.Server("chat", b.tcp), metrics.UDP("game", b.udp))
	page := httptest.NewServer(promhttp.HandlerFor(b.registry, promhttp.HandlerOpts{}))
	t.Cleanup(page.Close)
	b.url = page.URL
	return b
}

// work opens, uses and closes sessions, lets some time out and has some refused.
func (b *busy) work(t testing.TB) {
	t.Helper()
	require.NoError(t, b.echo(t, "hello").Close())
	b.echo(t, "idle")
	require.Eventually(t, func() bool { return b.tcp.Stats().Sessions == 0 }, patience, time.Millisecond)

	refused := b.tcp.Stats().RefusedFull
	one, two := b.dial(t), b.dial(t)
	three := b.dial(t)
	require.Eventually(t, func() bool { return b.tcp.Stats().RefusedFull > refused }, patience, time.Millisecond)
	for _, c := range []net.Conn{one, two, three} {
		_ = c.Close()
	}
	require.Eventually(t, func() bool { return b.tcp.Stats().Sessions == 0 }, patience, time.Millisecond)

	c, err := net.Dial("udp", b.udpAddr)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write(make([]byte, 100))
	require.NoError(t, err)
	_, err = c.Write([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	_, err = c.Read(make([]byte, 10))
	require.NoError(t, err)
}

func (b *busy) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", b.tcpAddr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// echo opens a session, sends a line and waits for the reply.
func (b *busy) echo(t testing.TB, line string) net.Conn {
	t.Helper()
	c := b.dial(t)
	fmt.Fprintln(c, line)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	_, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	return c
}

// scrape adds the current metrics to the store, as samples of the given time.
func (b *busy) scrape(t testing.TB, s store, at time.Time, accept string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url, nil)
	require.NoError(t, err)
	req.Header.Set("Accept", accept)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	s.scraped(t, at, resp.Header.Get("Content-Type"), body)
}
