package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/sessionwheel/sessionwheel/pool"
)

const (
	maxMessage  = 4096 // bytes
	queueLength = 64   // events that wait for a slow reader
)

type connKey struct{}

// keepConn stores the connection of a request in its context.
func keepConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// peer is the connection of a session.
type peer struct {
	room  string
	conn  net.Conn // the connection of ws; its deadlines limit the calls of ws
	ws    *websocket.Conn
	queue chan *event // for write; nil means a ping
}

// send queues an event and never blocks. If the queue is full, it closes the session
// on a goroutine of its own, since closing may take a moment.
func send(s *session, e *event) {
	select {
	case s.Conn().queue <- e:
	default:
		go s.Close("Slow")
	}
}

// write sends the queued events until the session ends. A ping waits for its pong, so
// it gets a goroutine of its own; without a pong the session times out.
func (c *chat) write(s *session) {
	for p := s.Conn(); ; {
		select {
		case <-s.Done():
			return
		case e := <-p.queue:
			write := func(ctx context.Context) error { return wsjson.Write(ctx, p.ws, e) }
			if e == nil {
				c.running.Go(func() { _ = within(c.writeTimeout, p.ws.Ping) })
			} else if err := within(c.writeTimeout, write); err != nil {
				s.Close(reasonOf(err))
			}
		}
	}
}

// within calls f with a context that ends after d.
func within(d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return f(ctx)
}

// read sends the peer's messages to its room, until the connection ends or a message
// is invalid. It returns the reason.
func (c *chat) read(s *session) pool.Reason {
	for {
		kind, r, err := s.Conn().ws.Reader(context.Background())
		if err != nil {
			return reasonOf(err)
		}
		text, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
		said := strings.TrimSpace(string(text))
		switch {
		case err != nil:
			return reasonOf(err)
		case len(text) > maxMessage:
			return "TooLarge"
		case kind != websocket.MessageText || !utf8.Valid(text):
			return "NotText"
		case !s.Touch():
			return s.Reason()
		case said != "":
			c.tell(s, "said", said)
		}
	}
}

// Close makes read return. The pool calls it when the session ends; farewell, which
// knows the reason, closes the connection afterwards.
func (p *peer) Close() error { return p.conn.SetReadDeadline(time.Now()) }

// farewell sends a close frame with the reason and closes the connection. It takes at
// most the given time, and does not wait for the reply of a peer that timed out.
func (p *peer) farewell(r pool.Reason, most time.Duration) {
	until := time.Now().Add(most)
	_ = p.conn.SetWriteDeadline(until)
	if r != pool.Timeout {
		_ = p.conn.SetReadDeadline(until)
	}
	_ = p.ws.Close(cmp.Or(closeCodes[r], websocket.StatusPolicyViolation), string(r)) // fails if the peer is gone
}

// closeCodes maps reasons to status codes. All other reasons are policy violations.
var closeCodes = map[pool.Reason]websocket.StatusCode{
	"Left":        websocket.StatusNormalClosure,
	"NotText":     websocket.StatusUnsupportedData, // not a text message, or not UTF-8
	"TooLarge":    websocket.StatusMessageTooBig,   // more than maxMessage
	"Full":        websocket.StatusTryAgainLater,   // maxSessions are open
	pool.Shutdown: websocket.StatusGoingAway,
}

// reasonOf returns the reason for closing a session after an error of Register, a read
// or a write. If the WebSocket is closed although the session is not, a write took too
// long.
func reasonOf(err error) pool.Reason {
	switch {
	case errors.Is(err, pool.ErrFull):
		return "Full"
	case errors.Is(err, pool.ErrPoolClosed):
		return pool.Shutdown
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, net.ErrClosed):
		return "Slow"
	case websocket.CloseStatus(err) != -1:
		return "Left"
	}
	return "Lost"
}
