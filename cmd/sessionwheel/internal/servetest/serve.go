// Package servetest runs serve in a process of its own, for tests, and talks to it.
package servetest

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
)

// Start starts serve on a free port and returns its address.
func Start(t *testing.T, args ...string) (p *consoletest.Process, addr string) {
	t.Helper()
	return Listening(t, consoletest.Command(t, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...))
}

// Listening starts a process of serve and returns its address.
func Listening(t *testing.T, cmd *exec.Cmd) (p *consoletest.Process, addr string) {
	t.Helper()
	p = consoletest.Start(t, nil, cmd)
	return p, p.Await(`listening\W+addr\W+(127\.0\.0\.1:\d+)`)
}

// Page returns the address of the page of a serve that has one.
func Page(p *consoletest.Process) string { return p.Await(`msg=http url=(http://\S+)`) }

// Token returns the token that a serve with --http-close has made and printed.
func Token(p *consoletest.Process) string { return p.Await(`(?m)^sessionwheel: .*\?token=(\S+)$`) }

// WithToken gives a request a bearer token.
func WithToken(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// Get asks a page and returns the answer's status and body.
func Get(t *testing.T, url string, change ...func(*http.Request)) (int, string) {
	t.Helper()
	resp, body := Do(t, url, change...)
	return resp.StatusCode, body
}

// Do asks a page, following no redirect, and returns the answer and its body.
func Do(t *testing.T, url string, change ...func(*http.Request)) (*http.Response, string) {
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
	return resp, string(body)
}

// RequestWithoutReading opens n connections to a page, each of which requests what is at a
// path again and again and reads nothing, until the server reads no more. They are closed
// at the end of the test.
func RequestWithoutReading(t *testing.T, page, path string, n int) {
	t.Helper()
	requests := strings.Repeat("GET /"+path+" HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n\r\n", 5000)
	var writing sync.WaitGroup
	t.Cleanup(writing.Wait) // after the connections are closed
	for range n {
		conn, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(page, "http:"), "/"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
		writing.Go(func() { _, _ = io.WriteString(conn, requests) }) // ends with the connection
	}
}

// ForHost makes a request one for another name than the URL has.
func ForHost(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }

// AsDelete makes a request one that closes a session.
func AsDelete(r *http.Request) {
	r.Method = http.MethodDelete
	r.Header.Set("X-Sessionwheel-Request", "1")
}

// Closing returns the address at which a page closes one of its sessions.
func Closing(t *testing.T, page, id string) string {
	t.Helper()
	status, body := Get(t, page+"api/sessions?q="+id)
	require.Equal(t, 200, status)
	var found struct {
		Sessions []struct{ Key, Generation string }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &found))
	require.Len(t, found.Sessions, 1)
	return page + "api/sessions/" + found.Sessions[0].Key + "?generation=" + found.Sessions[0].Generation
}

// Healthy waits until /healthz of a page answers with a status and a word.
func Healthy(t *testing.T, page string, status int, word string) {
	t.Helper()
	require.Eventually(t, func() bool {
		s, body := Get(t, page+"healthz")
		return s == status && body == word+"\n"
	}, consoletest.Patience, 50*time.Millisecond, "/healthz never was %d %s", status, word)
}

// Registered is how many sessions a page has seen, and how many of them closed with
// a reason.
func Registered(t *testing.T, page, reason string) (all, closed int) {
	t.Helper()
	status, body := Get(t, page+"api/stats")
	require.Equal(t, 200, status)
	var st struct {
		Sessions struct {
			Registered int            `json:"registered"`
			ByReason   map[string]int `json:"closed_by_reason"`
		} `json:"sessions"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &st))
	return st.Sessions.Registered, st.Sessions.ByReason[reason]
}

// Connect dials a server that a test has started.
func Connect(t *testing.T, addr, split string, config *tls.Config) *echo.Client {
	t.Helper()
	c, err := echo.Dial(t.Context(), addr, config, echo.ProtocolOf(split))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Stick gives a server a session that does not end by itself: its peer sends and
// does not read, until the server's Send blocks.
func Stick(t *testing.T, addr string) {
	t.Helper()
	c := Connect(t, addr, "lines", nil)
	chunk := []byte(strings.Repeat("x", 64<<10) + "\n")
	for {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := c.Write(chunk); err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			return
		}
	}
}

// Peer is a connection whose lines are read one by one.
type Peer struct {
	*echo.Client
	In *bufio.Reader

	t *testing.T
}

// ConnectPeer dials a server that a test has started.
func ConnectPeer(t *testing.T, addr string) *Peer {
	t.Helper()
	c := Connect(t, addr, "lines", nil)
	return &Peer{c, bufio.NewReader(c), t}
}

// Ask sends a line and returns the next that comes.
func (p *Peer) Ask(line string) string {
	p.t.Helper()
	_, _, err := p.Send([]byte(line))
	require.NoError(p.t, err)
	return p.Hear()
}

// Hear returns the next line that comes.
func (p *Peer) Hear() string {
	p.t.Helper()
	require.NoError(p.t, p.SetReadDeadline(time.Now().Add(consoletest.Patience)))
	s, err := p.In.ReadString('\n')
	require.NoError(p.t, err)
	return strings.TrimSuffix(s, "\n")
}

// Closed requires that the server closes the connection, and sends nothing before.
func (p *Peer) Closed() {
	p.t.Helper()
	require.NoError(p.t, p.SetReadDeadline(time.Now().Add(consoletest.Patience)))
	s, err := p.In.ReadString('\n')
	require.True(p.t, echo.ClosedByPeer(err), "%q %v", s, err)
	require.Empty(p.t, s)
}
