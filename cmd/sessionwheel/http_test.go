package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

// parts are what --http serves, by the flag that turns each off.
var parts = map[string]string{
	"--no-page":    "",
	"--no-healthz": "healthz",
}

func TestServe_HasAPageHealthAndProfiles(t *testing.T) {
	t.Parallel()
	p, addr := servetest.Start(t, "--http", "0", "--idle", "1h")
	page := servetest.Page(p)
	c := servetest.Connect(t, addr, "lines", nil)
	_, _, err := c.Send([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, c.Receive())

	status, body := servetest.Get(t, page)
	require.Equal(t, 200, status)
	require.Contains(t, body, "<html")
	status, body = servetest.Get(t, page+"api/sessions")
	require.Equal(t, 200, status)
	require.Contains(t, body, c.LocalAddr().String())
	status, body = servetest.Get(t, page+"metrics")
	require.Equal(t, 404, status)
	require.Contains(t, body, "--metrics")
	status, body = servetest.Get(t, page+"healthz")
	require.Equal(t, 200, status)
	require.Equal(t, "ok\n", body)
	for _, path := range []string{"", "cmdline", "profile?seconds=1", "goroutine"} {
		status, body = servetest.Get(t, page+"debug/pprof/"+path)
		require.Equal(t, 404, status)
		require.Contains(t, body, "--pprof")
	}
	for _, path := range []string{"api/stats", "metrics", "debug/pprof/", "debug/pprof/profile?seconds=1"} {
		for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "User-Agent": "Mozilla/5.0"} { // of the second, who knows
			resp, _ := servetest.Do(t, page+path, func(r *http.Request) { r.Header.Set(name, value) })
			require.Equal(t, 403, resp.StatusCode, "%s with %s", path, name)
			require.Equal(t, "same-origin", resp.Header.Get("Cross-Origin-Resource-Policy"))
		}
	}
}

func TestServe_HasProfilesOnRequestWithoutTheCommandLine(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0", "--pprof", "--idle", "1h23m")
	page := servetest.Page(p)
	for path, want := range map[string]string{
		"": "goroutine", "goroutine?debug=1": "sessionwheel", "heap?debug=1": "heap profile", "symbol": "num_symbols", "profile?seconds=1": "", "trace?seconds=1": "",
	} {
		status, body := servetest.Get(t, page+"debug/pprof/"+path)
		require.Equal(t, 200, status, path)
		require.Contains(t, body, want)
		require.NotContains(t, body, "1h23m")
	}
	for _, path := range []string{"cmdline", "cmdline/", "cmdline?debug=1", "../pprof/cmdline", "nothing"} {
		status, body := servetest.Get(t, page+"debug/pprof/"+path)
		require.NotEqual(t, 200, status, path)
		require.NotContains(t, body, "1h23m")
	}
}

func TestServe_EachPartOfThePageCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	for off := range parts {
		p, _ := servetest.Start(t, "--http", "0", off)
		page := servetest.Page(p)
		for flag, path := range parts {
			status, _ := servetest.Get(t, page+path)
			if flag == off {
				require.Equal(t, 404, status, "%s with %s", path, off)
			} else {
				require.Equal(t, 200, status, "%s with %s", path, off)
			}
		}
	}
}

func TestHealth_TellsOfTheDrain(t *testing.T) {
	t.Parallel()
	p, addr := servetest.Start(t, "--http", "0", "--drain", "1h", "--write-timeout", "1h")
	page := servetest.Page(p)
	servetest.Stick(t, addr)
	status, _ := servetest.Get(t, page+"healthz")
	require.Equal(t, 200, status)
	p.Signal(syscall.SIGTERM)
	p.Await(`msg=draining`)
	require.Eventually(t, func() bool {
		status, body := servetest.Get(t, page+"healthz")
		return status == 503 && body == "draining\n"
	}, consoletest.Patience, 10*time.Millisecond)
	status, _ = servetest.Get(t, page)
	require.Equal(t, 200, status, "the page shows the drain")
}

func TestServe_EventStreamsAndProfilesDoNotDelayTheEnd(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0", "--pprof", "--drain", "1h")
	page := servetest.Page(p)
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

func TestServe_SessionsAreClosedFromThePageOnlyIfThatIsAllowedAndWithTheToken(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{false, true} {
		args := []string{"--http", "0"}
		if allowed {
			args = append(args, "--http-close")
		}
		p, addr := servetest.Start(t, args...)
		page := servetest.Page(p)
		c := servetest.Connect(t, addr, "lines", nil)
		_, _, err := c.Send([]byte("hello"))
		require.NoError(t, err)
		require.NoError(t, c.Receive())
		status, body := servetest.Get(t, servetest.Closing(t, page, "1")+"&reason=Enough", servetest.AsDelete)
		require.Equal(t, 403, status, body)
		var st struct {
			Closable bool `json:"closable"`
		}
		_, body = servetest.Get(t, page+"api/stats")
		require.NoError(t, json.Unmarshal([]byte(body), &st), "reading needs no token")
		require.Equal(t, allowed, st.Closable)
		_, _, err = c.Send([]byte("still here"))
		require.NoError(t, err)
		require.NoError(t, c.Receive())
		if allowed {
			status, body = servetest.Get(t, servetest.Closing(t, page, "1")+"&reason=Enough", servetest.AsDelete, servetest.WithToken(servetest.Token(p)))
			require.Equal(t, 200, status, body)
			require.NoError(t, c.AwaitClose())
			p.Await(`session closed.*reason=Enough`)
		}
	}
}

func TestServe_ATokenThatItMakesIsPrintedOnceAndNotLogged(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0", "--http-close", "--log-level", "debug")
	token := servetest.Token(p)
	resp, _ := servetest.Do(t, servetest.Page(p)+"?token="+token)
	require.Equal(t, 303, resp.StatusCode)
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.Wait())
	require.Equal(t, 1, strings.Count(p.Logged(), token))
	require.NotRegexp(t, `msg=.*`+token, p.Logged())
}

func TestServe_WithATokenOfItsOwnNeedsItForAllButHealth(t *testing.T) {
	t.Parallel()
	const token = "a token of the tests"
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(token, " ", "-")+"\n"), 0o600))
	serve := consoletest.Command(t, "serve", "--addr", "127.0.0.1:0", "--http", "0")
	serve.Env = append(serve.Env, "SESSIONWHEEL_HTTP_TOKEN="+strings.ReplaceAll(token, " ", "-"))
	fromEnv, _ := servetest.Listening(t, serve)
	fromFile, _ := servetest.Start(t, "--http", "0.0.0.0:0", "--http-token-file", file)
	for _, p := range []*consoletest.Process{fromEnv, fromFile} {
		page := servetest.Page(p)
		for _, path := range []string{"", "api/stats", "metrics", "debug/pprof/"} {
			status, _ := servetest.Get(t, page+path)
			require.Equal(t, 401, status, path)
		}
		status, _ := servetest.Get(t, page+"healthz")
		require.Equal(t, 200, status)
		status, body := servetest.Get(t, page+"api/stats", servetest.WithToken(strings.ReplaceAll(token, " ", "-")))
		require.Equal(t, 200, status, body)
		require.NotContains(t, p.Logged(), "a-token")
	}
}

func TestServe_BeyondTheLoopbackWithoutATokenIsRefusedOrSaidInSoManyWords(t *testing.T) {
	t.Parallel()
	o := consoletest.Run(t, "serve", "--addr", "127.0.0.1:0", "--http", "0.0.0.0:0")
	require.Equal(t, console.ExitUsage, o.Status)
	o.OneErrorLine(t, "--http-token-file", "SESSIONWHEEL_HTTP_TOKEN", "--http-open")
	p, _ := servetest.Start(t, "--http", "0.0.0.0:0", "--http-open")
	p.Await(`level=WARN msg="the page needs no token \(--http-open\)`)
	status, _ := servetest.Get(t, servetest.Page(p)+"api/stats")
	require.Equal(t, 200, status)
}

func TestServe_RefusesRequestsForNamesThatAStrangerCanOwn(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0", "--http-host", "Ops.example.", "--http-host", "b.example")
	page := servetest.Page(p)
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:1": 200, "a.localhost:80": 200, "127.0.0.1": 200, "127.9.9.9:1": 200, "[::1]:80": 200,
		"ops.example": 200, "OPS.example.:8080": 200, "b.example": 200,
		"evil.example": 421, "evil.example:80": 421, "localhost.evil.example": 421, "evillocalhost": 421, "a.ops.example": 421,
		"192.0.2.1": 421, "[2001:db8::1]": 421, "127.0.0.1.evil.example": 421,
	} {
		for _, path := range parts {
			status, body := servetest.Get(t, page+path, servetest.ForHost(host))
			require.Equal(t, want, status, "%s for %s: %s", path, host, body)
			if want == 421 {
				require.Contains(t, body, "--http-host")
			}
		}
	}
	open, _ := servetest.Start(t, "--http", "0", "--http-host", "*")
	status, _ := servetest.Get(t, servetest.Page(open), servetest.ForHost("evil.example"))
	require.Equal(t, 200, status)
}
