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

// keepConn keeps the connection beneath a WebSocket in the request's context.
func keepConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// peer is the connection of a session.
type peer struct {
	room  string
	conn  net.Conn // beneath ws; its deadlines bound what ws does
	ws    *websocket.Conn
	queue chan *event // to be written; nil is a ping
}

// send queues an event. It never blocks: the session of a peer whose queue is
// full is closed, which may take a moment, on a goroutine that ends with it.
func send(s *session, e *event) {
	select {
	case s.Conn().queue <- e:
	default:
		go s.Close("Slow")
	}
}

// write sends what is queued until the session ends. A ping waits for its pong,
// so each has a goroutine; without a pong comes the timeout.
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

func within(d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return f(ctx)
}

// read passes on what the peer says, and returns why that ended.
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

// Close is called by the pool when the session ends. It stops the reading and
// leaves the connection to farewell, which follows and is told the reason.
func (p *peer) Close() error { return p.conn.SetReadDeadline(time.Now()) }

// farewell sends a close frame with the reason and cuts the connection. It takes
// no longer than most, whatever the peer does; one that timed out is not waited
// for.
func (p *peer) farewell(r pool.Reason, most time.Duration) {
	until := time.Now().Add(most)
	_ = p.conn.SetWriteDeadline(until)
	if r != pool.Timeout {
		_ = p.conn.SetReadDeadline(until)
	}
	_ = p.ws.Close(cmp.Or(closeCodes[r], websocket.StatusPolicyViolation), string(r)) // it fails when the peer is gone
}

// closeCodes are the status codes of the reasons. All others are policy violations.
var closeCodes = map[pool.Reason]websocket.StatusCode{
	"Left":        websocket.StatusNormalClosure,
	"NotText":     websocket.StatusUnsupportedData, // and no UTF-8 either
	"TooLarge":    websocket.StatusMessageTooBig,   // more than maxMessage
	"Full":        websocket.StatusTryAgainLater,   // there are maxSessions already
	pool.Shutdown: websocket.StatusGoingAway,
}

// reasonOf is the reason to close a session for after an error of Register, a
// read or a write. A WebSocket that is closed already, though the session was
// not, was cut by a write that took too long.
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
