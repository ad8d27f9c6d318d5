package main

import (
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"net"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// patience is how long a test waits for something that must happen.
const patience = time.Minute

// TestMain runs the program instead of the tests in the processes that the tests
// start.
func TestMain(m *testing.M) {
	if os.Getenv("WEBSOCKET_TEST_PROGRAM") != "" {
		main()
		return
	}
	if err := flag.Set("test.parallel", "8"); err != nil { // parallel tests wait
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// served is a chat server on the loopback.
type served struct {
	*chat
	addr string
	stop func() error // shuts the server down; a second call does nothing
}

func serve(t *testing.T, timeout time.Duration, adjust ...func(*chat)) *served {
	t.Helper()
	c := newChat(timeout, 0, slog.New(slog.DiscardHandler))
	for _, f := range adjust {
		f(c)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- c.Serve(l) }()
	s := &served{chat: c, addr: l.Addr().String()}
	stopped := false
	s.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err := c.Shutdown(ctx)
		require.ErrorIs(t, <-done, tcp.ErrServerClosed)
		return err
	}
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	return s
}

// named waits until a session has the name.
func (s *served) named(t *testing.T, name string) *tcp.Session {
	t.Helper()
	var found *tcp.Session
	require.Eventually(t, func() (ok bool) {
		found, ok = s.Bound(name)
		return ok
	}, patience, 5*time.Millisecond)
	return found
}

// client is a user without a browser.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

func dial(t *testing.T, addr, room, name string, o *websocket.DialOptions) *client {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), chatURL(addr, room, name), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{t: t, ws: ws}
}

func chatURL(addr, room, name string) string {
	return "ws://" + addr + "/chat?" + url.Values{"room": {room}, "name": {name}}.Encode()
}

func (c *client) say(text string) {
	c.t.Helper()
	require.NoError(c.t, c.ws.Write(c.t.Context(), websocket.MessageText, []byte(text)))
}

func (c *client) next() event {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	_, message, err := c.ws.Read(ctx)
	require.NoError(c.t, err)
	var e event
	require.NoError(c.t, json.Unmarshal(message, &e), "%s", message)
	return e
}

// want reads the next event and compares it.
func (c *client) want(e event) {
	c.t.Helper()
	require.Equal(c.t, e, c.next())
}

// joined reads events until the client itself has joined.
func (c *client) joined(name string) *client {
	c.t.Helper()
	for e := c.next(); e.Kind != "joined" || e.Name != name; {
		e = c.next()
	}
	return c
}

// ending reads until the server closes the WebSocket, and returns the close frame.
func (c *client) ending() websocket.CloseError {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		_, _, err := c.ws.Read(ctx)
		if err == nil {
			continue
		}
		var closed websocket.CloseError
		require.ErrorAs(c.t, err, &closed)
		return closed
	}
}

func closed(code websocket.StatusCode, reason string) websocket.CloseError {
	return websocket.CloseError{Code: code, Reason: reason}
}
