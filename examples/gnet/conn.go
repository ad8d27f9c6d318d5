package main

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/panjf2000/gnet/v2"

	"github.com/sessionwheel/sessionwheel/pool"
)

// The reasons for closing a session, besides the pool's own.
const (
	reasonEOF      pool.Reason = "EOF"      // the peer closed
	reasonError    pool.Reason = "Error"    // reading or writing failed
	reasonBadFrame pool.Reason = "BadFrame" // a marker is missing
	reasonTooLarge pool.Reason = "TooLarge" // a frame over --max-frame
	reasonSlow     pool.Reason = "Slow"     // more than maxPending bytes wait for the peer to read
)

// session is a connection in the pool, and the context of its gnet.Conn.
type session = pool.Session[int64, *conn]

// conn is the io.Closer that the pool closes.
type conn struct {
	loop gnet.Conn // used on the event loop only, except Close
	need int       // used on the event loop only: with less input there is no whole frame

	gone atomic.Bool // set on the event loop, which closes the socket itself
}

// Close queues the close on the event loop and does not wait: gnet calls OnClose and
// closes the socket some time later. Close may be called from any goroutine. When the
// engine ends, the loops close all remaining connections, and a close that is queued
// later is never executed.
//
// A late call cannot close another connection: the queue holds this gnet.Conn, which
// belongs to one connection, and not its file descriptor, which may be reused. The loop
// ignores a gnet.Conn that it has closed already.
func (c *conn) Close() error {
	if c.gone.Load() {
		return nil
	}
	return c.loop.Close()
}

// leave closes the session on its event loop, which closes the socket itself. If the
// session is closed already, it keeps its reason.
func leave(s *session, why pool.Reason) {
	s.Conn().gone.Store(true)
	s.Close(why)
}

// OnOpen registers a connection. gnet calls it on the connection's event loop, like
// OnTraffic and OnClose. A connection that the pool refuses gets no context.
func (sv *server) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	s, err := sv.sessions.Register(sv.lastID.Add(1), &conn{loop: gc})
	if err != nil {
		sv.log.Debug("refused", "err", err)
		return nil, gnet.Close
	}
	gc.SetContext(s)
	return nil, gnet.None
}

// OnTraffic echoes the whole frames that have arrived, with one Touch and one write for
// all of them.
func (sv *server) OnTraffic(gc gnet.Conn) gnet.Action {
	s := gc.Context().(*session)
	c := s.Conn()
	if gc.InboundBuffered() < c.need {
		return gnet.None // Peek would copy all input again for each byte that arrives
	}
	data, _ := gc.Peek(-1) // fails only if more is requested than there is
	n, need, why := scan(data, sv.maxFrame)
	c.need = need
	if n > 0 {
		switch {
		case !s.Touch():
			return gnet.Close // the session is closed, and has its reason
		case gc.OutboundBuffered()+n > maxPending:
			leave(s, reasonSlow)
			return gnet.Close
		}
		if _, err := gc.Write(data[:n]); err != nil {
			return gnet.Close // gnet has called OnClose with the error
		}
		_, _ = gc.Discard(n) // never fails
	}
	if why != "" {
		leave(s, why)
		return gnet.Close
	}
	return gnet.None
}

// OnClose closes the session. gnet calls it before it closes the socket. If the session
// has no reason yet, err determines it.
func (sv *server) OnClose(gc gnet.Conn, err error) gnet.Action {
	s, ok := gc.Context().(*session)
	switch {
	case !ok: // refused
	case err == nil: // closed by the pool or by OnTraffic, or the engine ends
		leave(s, pool.Shutdown)
	case errors.Is(err, io.EOF):
		leave(s, reasonEOF)
	default:
		leave(s, reasonError)
	}
	return gnet.None
}
