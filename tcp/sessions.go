package tcp

import (
	"cmp"
	"iter"
	"log/slog"
	"net"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Session returns the open session with the given ID. A session is found from when its
// OnNewSessionRegister has returned until it is closed.
func (srv *Server) Session(id int64) (*Session, bool) {
	p := srv.sessions.Load()
	if p == nil {
		return nil, false
	}
	ps, ok := p.Get(id)
	if !ok {
		return nil, false
	}
	s := (*Session)(ps.Conn())
	return s, s.shown()
}

// Sessions returns an iterator over the open sessions whose OnNewSessionRegister has
// returned, so that what it stored with SetValue is there, in no particular order. A session
// that opens or closes during the iteration may or may not be included. No lock is held
// while the loop body runs.
func (srv *Server) Sessions() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		p := srv.sessions.Load()
		if p == nil {
			return
		}
		for _, ps := range p.All() {
			s := (*Session)(ps.Conn())
			if s.shown() && !yield(s) {
				return
			}
		}
	}
}

// SetIdleTimeout changes the idle timeout of new sessions and of all open sessions without
// one of their own, counted from their last activity. 0 and negative mean the same as in
// IdleTimeout. Before the server serves, SetIdleTimeout sets that field.
func (srv *Server) SetIdleTimeout(d time.Duration) {
	srv.mu.Lock()
	p := srv.sessions.Load()
	if p == nil {
		srv.IdleTimeout = d
	}
	srv.mu.Unlock()
	if p != nil {
		p.SetIdleTimeout(cmp.Or(d, defaultIdleTimeout))
	}
}

// Stats returns the counts of the sessions, including those in their handshake. Before the
// server serves, it returns the zero value.
func (srv *Server) Stats() pool.Stats {
	p := srv.sessions.Load()
	if p == nil {
		return pool.Stats{}
	}
	ended := srv.ends.Count() // first: each has been closed
	st := p.Stats()
	st.Closing = int(st.Closed - ended)
	st.RefusedFull += srv.refusedFull.Load()
	st.Parked = int(srv.parked.Load())
	return st
}

// RecentlyClosed returns the sessions that closed last, as
// [pool.Pool.RecentlyClosed] says, including those whose TLS handshake failed. It
// returns none before the server serves.
func (srv *Server) RecentlyClosed() []pool.ClosedSession[int64] {
	p := srv.sessions.Load()
	if p == nil {
		return nil
	}
	return p.RecentlyClosed()
}

// remote is an address as the log shows it.
func remote(conn net.Conn) slog.Attr {
	if a := conn.RemoteAddr(); a != nil {
		return slog.String("remote", a.String())
	}
	return slog.String("remote", "")
}
