package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// page is where a running serve or demo has its page.
func pageOf(p *consoletest.Process) string {
	return p.Await(`msg=http url=(http://\S+)`)
}

// get asks a page and returns the answer's status and body.
func get(t *testing.T, url string, change ...func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	for _, f := range change {
		f(req)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func withHost(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }

func TestThePagesAddressIsOfTheLoopbackUnlessAHostIsNamed(t *testing.T) {
	for given, want := range map[string]string{
		"8080": "127.0.0.1:8080", ":8080": "127.0.0.1:8080", "0": "127.0.0.1:0", "localhost:80": "localhost:80",
		"0.0.0.0:80": "0.0.0.0:80", "[::]:80": "[::]:80", "[::1]:80": "[::1]:80",
	} {
		addr, err := (&httpConfig{HTTP: given}).addr()
		require.NoError(t, err, given)
		require.Equal(t, want, addr)
	}
}

// parts are what --http serves, by the flag that turns each off.
var parts = map[string]string{
	"--no-page":    "",
	"--no-metrics": "metrics",
	"--no-healthz": "healthz",
	"--no-pprof":   "debug/pprof/",
}

func TestServeHasAPageMetricsHealthAndProfiles(t *testing.T) {
	t.Parallel()
	p, addr := serving(t, "--http", "0", "--idle", "1h")
	page := pageOf(p)
	c := connect(t, addr, "lines", nil)
	_, _, err := c.send([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, c.receive())

	status, body := get(t, page)
	require.Equal(t, 200, status)
	require.Contains(t, body, "<html")
	status, body = get(t, page+"api/sessions")
	require.Equal(t, 200, status)
	require.Contains(t, body, c.LocalAddr().String())
	status, body = get(t, page+"metrics")
	require.Equal(t, 200, status)
	require.Regexp(t, `(?m)^sessionwheel_received_frames_total\S* 1$`, body)
	require.Contains(t, body, "go_goroutines")
	require.Regexp(t, `(?m)^sessionwheel_lateness_seconds_count\S* 0$`, body)
	status, body = get(t, page+"healthz")
	require.Equal(t, 200, status)
	require.Equal(t, "ok\n", body)
	status, body = get(t, page+"debug/pprof/")
	require.Equal(t, 200, status)
	require.Contains(t, body, "goroutine")
	status, body = get(t, page+"debug/pprof/goroutine?debug=1")
	require.Equal(t, 200, status)
	require.Contains(t, body, "sessionwheel")
	status, _ = get(t, page+"debug/pprof/", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	require.Equal(t, 403, status)
}

func TestEachPartOfThePageCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	for off := range parts {
		p, _ := serving(t, "--http", "0", off)
		page := pageOf(p)
		for flag, path := range parts {
			status, _ := get(t, page+path)
			if flag == off {
				require.Equal(t, 404, status, "%s with %s", path, off)
			} else {
				require.Equal(t, 200, status, "%s with %s", path, off)
			}
		}
	}
}

func TestHealthTellsOfTheDrain(t *testing.T) {
	t.Parallel()
	p, addr := serving(t, "--http", "0", "--drain", "1h", "--write-timeout", "1h")
	page := pageOf(p)
	stuck(t, addr)
	status, _ := get(t, page+"healthz")
	require.Equal(t, 200, status)
	p.Signal(syscall.SIGTERM)
	p.Await(`msg=draining`)
	require.Eventually(t, func() bool {
		status, body := get(t, page+"healthz")
		return status == 503 && body == "draining\n"
	}, consoletest.Patience, 10*time.Millisecond)
	status, _ = get(t, page)
	require.Equal(t, 200, status, "the page shows the drain")
}

func TestHealthIsReadAlone(t *testing.T) {
	var h health
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "DELETE": 405} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/healthz", nil))
		require.Equal(t, want, w.Code, method)
	}
}

func TestEventStreamsAndProfilesDoNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	p, _ := serving(t, "--http", "0", "--drain", "1h")
	page := pageOf(p)
	for _, path := range []string{"api/events", "debug/pprof/profile?seconds=3600", "debug/pprof/trace?seconds=3600"} {
		conn, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(page, "http:"), "/"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET /"+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		if path == "api/events" {
			line, err := bufio.NewReader(conn).ReadString('\n')
			require.NoError(t, err)
			require.Contains(t, line, "200")
		}
	}
	_, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(page, "http:"), "/")) // and says nothing
	require.NoError(t, err)
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.Wait(), p.Logged())
	require.Contains(t, p.Logged(), "msg=stopped")
}

func TestSessionsAreClosedFromThePageOnlyIfThatIsAllowed(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{false, true} {
		args := []string{"--http", "0"}
		want := 403
		if allowed {
			args, want = append(args, "--http-close"), 200
		}
		p, addr := serving(t, args...)
		page := pageOf(p)
		c := connect(t, addr, "lines", nil)
		_, _, err := c.send([]byte("hello"))
		require.NoError(t, err)
		require.NoError(t, c.receive())
		status, body := get(t, page+"api/sessions/1?reason=Enough", func(r *http.Request) {
			r.Method = http.MethodDelete
			r.Header.Set("X-Sessionwheel-Request", "1")
		})
		require.Equal(t, want, status, body)
		var st struct {
			Closable bool `json:"closable"`
		}
		_, body = get(t, page+"api/stats")
		require.NoError(t, json.Unmarshal([]byte(body), &st))
		require.Equal(t, allowed, st.Closable)
		if allowed {
			require.NoError(t, c.awaitClose())
			p.Await(`session closed.*reason=Enough`)
		} else {
			_, _, err = c.send([]byte("still here"))
			require.NoError(t, err)
			require.NoError(t, c.receive())
		}
	}
}

func TestRequestsForNamesThatAnybodyCanOwnAreRefused(t *testing.T) {
	t.Parallel()
	p, _ := serving(t, "--http", "0", "--http-host", "Ops.example.", "--http-host", "b.example")
	page := pageOf(p)
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:1": 200, "a.localhost:80": 200, "127.0.0.1": 200, "127.9.9.9:1": 200, "[::1]:80": 200,
		"ops.example": 200, "OPS.example.:8080": 200, "b.example": 200,
		"evil.example": 421, "evil.example:80": 421, "localhost.evil.example": 421, "evillocalhost": 421, "a.ops.example": 421,
		"192.0.2.1": 421, "[2001:db8::1]": 421, "127.0.0.1.evil.example": 421,
	} {
		for _, path := range parts {
			status, body := get(t, page+path, withHost(host))
			require.Equal(t, want, status, "%s for %s: %s", path, host, body)
			if want == 421 {
				require.Contains(t, body, "--http-host")
			}
		}
	}
	open, _ := serving(t, "--http", "0", "--http-host", "*")
	status, _ := get(t, pageOf(open), withHost("evil.example"))
	require.Equal(t, 200, status)
}

func TestOffTheLoopbackAnyIPAddressIsAnswered(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, listening := range []string{"0.0.0.0", "::", "192.0.2.1"} {
		g := newGuard(&net.TCPAddr{IP: net.ParseIP(listening), Port: 80}, []string{"ops.example"}, ok)
		for host, want := range map[string]bool{
			"192.0.2.7": true, "2001:db8::1": true, "fe80::1%eth0": true, "localhost": true, "ops.example": true, "evil.example": false, "": false,
		} {
			require.Equal(t, want, g.allows(host), "%s on %s", host, listening)
		}
	}
	g := newGuard(&net.TCPAddr{IP: net.ParseIP("127.0.0.1"), Port: 80}, nil, ok)
	require.False(t, g.allows("192.0.2.7"))
}

// idleListener is a listener that nobody comes to.
type idleListener struct {
	addr   net.Addr
	closed chan struct{}
}

func (l idleListener) Accept() (net.Conn, error) { <-l.closed; return nil, net.ErrClosed }
func (l idleListener) Close() error              { close(l.closed); return nil }
func (l idleListener) Addr() net.Addr            { return l.addr }

// webFor starts an HTTP server on ln for a server of its own, with what the log
// says in log.
func webFor(t *testing.T, ln net.Listener, log io.Writer) *web {
	t.Helper()
	timers, err := wheel.New(wheel.Config{})
	require.NoError(t, err)
	t.Cleanup(timers.Close)
	cfg := httpConfig{HTTP: "0", Page: true, Metrics: true, Healthz: true, Pprof: true}
	h, err := startWeb(ln, cfg, watched{server: &tcp.Server{}, wheel: timers}, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), consoletest.Patience)
		defer cancel()
		require.NoError(t, h.shutdown(ctx))
	})
	return h
}

func TestAPageBeyondTheLoopbackIsWarnedOf(t *testing.T) {
	for ip, want := range map[string]bool{"0.0.0.0": true, "::": true, "192.0.2.1": true, "127.0.0.1": false, "127.1.2.3": false, "::1": false} {
		var log strings.Builder
		h := webFor(t, idleListener{&net.TCPAddr{IP: net.ParseIP(ip), Port: 80}, make(chan struct{})}, &log)
		require.Equal(t, want, h.exposed, ip)
		require.Equal(t, want, strings.Contains(log.String(), "level=WARN msg=\"the page has no password"), ip)
	}
}

// inDefaultMux puts something there, which can be done but once in a process.
var inDefaultMux = sync.OnceFunc(func() {
	http.HandleFunc("/of-the-default-mux", func(http.ResponseWriter, *http.Request) {})
})

func TestTheDefaultMuxIsNotServed(t *testing.T) {
	inDefaultMux()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h := webFor(t, ln, io.Discard)
	status, _ := get(t, h.url+"of-the-default-mux")
	require.Equal(t, 404, status)
}

func TestAClientOfThePageThatDawdlesOrSaysTooMuchIsCutOff(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h := webFor(t, ln, io.Discard)
	require.Positive(t, h.server.IdleTimeout)
	conn, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX:")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(consoletest.Patience)))
	_, err = io.Copy(io.Discard, conn)
	require.NoError(t, err, "closed by the server")

	status, _ := get(t, h.url, func(r *http.Request) { r.Header.Set("X", strings.Repeat("x", 64<<10)) })
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, status)
}
