package main

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/panjf2000/gnet/v2"

	"github.com/sessionwheel/sessionwheel/pool"
)

// The reasons beside the pool's own.
const (
	reasonEOF      pool.Reason = "EOF"      // the peer closed
	reasonError    pool.Reason = "Error"    // reading or writing failed
	reasonBadFrame pool.Reason = "BadFrame" // a marker is missing
	reasonTooLarge pool.Reason = "TooLarge" // a frame over --max-frame
	reasonSlow     pool.Reason = "Slow"     // more than maxPending waits for the peer to read
)

// session is a connection in the pool. It is the context of its gnet.Conn.
type session = pool.Session[int64, *conn]

// conn is what the pool closes.
type conn struct {
	loop gnet.Conn // all but Close is for the event loop alone
	need int       // for the event loop alone: with less input there is no whole frame

	gone atomic.Bool // set by the event loop when it closes by itself
}

// Close hands the close to the event loop and does not wait for it: the socket
// is closed, and gnet calls OnClose, some time after it returned. It may be
// called from any goroutine. When the engine ends, the loops close what is left,
// and a close that comes later is never carried out.
//
// A late call hits nobody else: what is queued is this gnet.Conn, of which there
// is one for each connection, and not its descriptor's number. The loop ignores
// one that it has closed already.
func (c *conn) Close() error {
	if c.gone.Load() {
		return nil
	}
	return c.loop.Close()
}

// leave closes the session on its event loop, which closes the socket by itself.
// If the session is closed already, its reason stays.
func leave(s *session, why pool.Reason) {
	s.Conn().gone.Store(true)
	s.Close(why)
}

// OnOpen is called by gnet on the connection's event loop, as are OnTraffic and
// OnClose. A connection that the pool refuses has no context.
func (sv *server) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	s, err := sv.sessions.Register(sv.lastID.Add(1), &conn{loop: gc})
	if err != nil {
		sv.log.Debug("refused", "err", err)
		return nil, gnet.Close
	}
	gc.SetContext(s)
	return nil, gnet.None
}

// OnTraffic echoes the whole frames that have come. All that came together are
// one Touch and one write.
func (sv *server) OnTraffic(gc gnet.Conn) gnet.Action {
	s := gc.Context().(*session)
	c := s.Conn()
	if gc.InboundBuffered() < c.need {
		return gnet.None // Peek would copy all that is there, for each byte that comes
	}
	data, _ := gc.Peek(-1) // fails only for more than there is
	n, need, why := scan(data, sv.maxFrame)
	c.need = need
	if n > 0 {
		switch {
		case !s.Touch():
			return gnet.Close // it has ended meanwhile, and the reason is there
		case gc.OutboundBuffered()+n > maxPending:
			leave(s, reasonSlow)
			return gnet.Close
		}
		if _, err := gc.Write(data[:n]); err != nil {
			return gnet.Close // gnet has called OnClose with it
		}
		_, _ = gc.Discard(n) // fails never
	}
	if why != "" {
		leave(s, why)
		return gnet.Close
	}
	return gnet.None
}

// OnClose is called before the socket is closed. Unless the session has a reason
// already, err says it.
func (sv *server) OnClose(gc gnet.Conn, err error) gnet.Action {
	s, ok := gc.Context().(*session)
	switch {
	case !ok: // refused
	case err == nil: // asked for by the pool or by OnTraffic, or the engine ends
		leave(s, pool.Shutdown)
	case errors.Is(err, io.EOF):
		leave(s, reasonEOF)
	default:
		leave(s, reasonError)
	}
	return gnet.None
}
