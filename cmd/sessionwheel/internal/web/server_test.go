package web

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// idleListener is a listener that nobody comes to.
type idleListener struct {
	addr   net.Addr
	closed chan struct{}
}

func (l idleListener) Accept() (net.Conn, error) { <-l.closed; return nil, net.ErrClosed }
func (l idleListener) Close() error              { close(l.closed); return nil }
func (l idleListener) Addr() net.Addr            { return l.addr }

// webFor starts an HTTP server on ln for a server of its own, with what the log
// says in log. A headerTimeout of 0 means the constant.
func webFor(t *testing.T, ln net.Listener, log io.Writer, headerTimeout time.Duration) *Server {
	t.Helper()
	timers, err := wheel.New(wheel.Config{})
	require.NoError(t, err)
	t.Cleanup(timers.Close)
	cfg := Config{HTTP: "0", HTTPOpen: true, Page: true, Healthz: true, Pprof: true, headerTimeout: headerTimeout}
	h, err := cfg.Serve(ln, Shown{Source: dashboard.Server(&tcp.Server{}), Wheel: timers}, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), consoletest.Patience)
		defer cancel()
		require.NoError(t, h.Shutdown(ctx))
	})
	return h
}

func TestServe_WarnsOfAPageBeyondTheLoopback(t *testing.T) {
	for ip, want := range map[string]bool{"0.0.0.0": true, "::": true, "192.0.2.1": true, "127.0.0.1": false, "127.1.2.3": false, "::1": false} {
		var log strings.Builder
		h := webFor(t, idleListener{&net.TCPAddr{IP: net.ParseIP(ip), Port: 80}, make(chan struct{})}, &log, 0)
		require.Equal(t, want, h.Exposed, ip)
		require.Equal(t, want, strings.Contains(log.String(), "level=WARN msg=\"the page needs no token"), ip)
	}
}

// inDefaultMux puts something there, which can be done but once in a process.
var inDefaultMux = sync.OnceFunc(func() {
	http.HandleFunc("/of-the-default-mux", func(http.ResponseWriter, *http.Request) {})
})

func TestServe_DoesNotServeTheDefaultMux(t *testing.T) {
	inDefaultMux()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h := webFor(t, ln, io.Discard, 0)
	status, _ := servetest.Get(t, h.URL+"of-the-default-mux")
	require.Equal(t, 404, status)
}

func TestServe_CutsOffAClientThatIsSlowOrSendsTooMuch(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h := webFor(t, ln, io.Discard, 200*time.Millisecond)
	require.Positive(t, h.server.IdleTimeout)
	conn, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX:")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(consoletest.Patience)))
	_, err = io.Copy(io.Discard, conn)
	require.True(t, err == nil || echo.ClosedByPeer(err), "closed by the server: %v", err)

	ln, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h = webFor(t, ln, io.Discard, 0) // what is much may take more than 200 ms to send
	status, _ := servetest.Get(t, h.URL, func(r *http.Request) { r.Header.Set("X", strings.Repeat("x", 64<<10)) })
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, status)
}

func TestServe_RefusesANameThatStandsForMoreThanTheLoopback(t *testing.T) {
	t.Setenv(flags.TokenEnv, "")
	ln := idleListener{&net.TCPAddr{IP: net.ParseIP("192.0.2.1"), Port: 80}, make(chan struct{})}
	_, err := (&Config{HTTP: "ops.example:80", Page: true}).Serve(ln, Shown{Source: dashboard.Server(&tcp.Server{})}, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, errNoToken)
	<-ln.closed
}
