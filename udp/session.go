package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Session is a peer by its address. Its methods may be called from any
// goroutine, callbacks included, and also after it was closed.
type Session struct {
	// Immutable. There are as many of these as peers, so what the pool's session
	// knows is not kept.
	server *Server
	ps     atomic.Pointer[pool.Session[netip.AddrPort, *transport]] // nil until Register has returned

	nextTurn *Session // guarded by the server's turns.mu

	mu sync.Mutex
	// Guarded by mu.
	pending  queue
	waiting  int32 // in pending
	busy     bool  // it waits for a turn or has one, and nobody else gives it one
	draining bool  // it is to close with Shutdown when nothing is pending
	over     bool  // it is closed, and what comes is not for it

	opened    bool        // OnNewSessionRegister was called; of the session's turns
	parting   atomic.Bool // OnSessionClosed runs
	datagrams uint64      // of the session's turns

	value atomic.Pointer[any]
}

// ID is what Server.Session finds the session by: its RemoteAddr.
func (s *Session) ID() netip.AddrPort { return s.RemoteAddr() }

// RemoteAddr is the peer's address. An IPv4 address is written as one, also
// where the socket is an IPv6 one.
func (s *Session) RemoteAddr() netip.AddrPort { return s.ps.Load().ID() }

// RegisteredAt is when the session's first datagram came, with a monotonic
// reading.
func (s *Session) RegisteredAt() time.Time { return s.ps.Load().RegisteredAt() }

// LastActive is when the session was registered or last active, in the sense of
// Server.Activity, with a monotonic reading.
func (s *Session) LastActive() time.Time { return s.ps.Load().LastActive() }

// Deadline is when the session ends unless there is activity until then, with a
// monotonic reading. It reports false if that is never, and if the session is
// closed; while it is held, as while datagrams are pending, only its lifetime
// counts.
func (s *Session) Deadline() (at time.Time, ok bool) { return s.ps.Load().Deadline() }

// Value is what SetValue stored last, and nil before.
func (s *Session) Value() any {
	if v := s.value.Load(); v != nil {
		return *v
	}
	return nil
}

// SetValue stores a value of the caller's with the session.
func (s *Session) SetValue(v any) { s.value.Store(&v) }

// Close closes the session for the given reason, which may be any text. It
// reports true for the one call that closed it; every other call reports false
// and changes nothing. What is pending is dropped, but for a datagram that
// OnMessage has already. OnSessionClosed follows on another goroutine, when no
// other callback of the session runs any more. The peer is told nothing, and its
// next datagram begins another session.
func (s *Session) Close(r pool.Reason) bool { return s.ps.Load().Close(r) }

// Hold keeps the session from timing out until the returned func is called, as
// while another goroutine works on a reply. Holds add up. The release counts as
// activity, whatever Server.Activity says; calling it again does nothing.
func (s *Session) Hold() (release func()) { return s.ps.Load().Hold() }

// SetIdleTimeout gives the session an idle timeout of its own, counted from its
// last activity. 0 means the server's; negative means no limit.
func (s *Session) SetIdleTimeout(d time.Duration) { s.ps.Load().SetIdleTimeout(d) }

// Send sends p to the peer as one datagram, which may be empty. It returns when
// the socket has taken it, for which it may wait while the socket's buffer is
// full, and then counts as activity unless Server.Activity is Received. Nobody
// tells whether it arrives.
//
// When the socket does not take it, as when p is too large for UDP or an ICMP
// message has said that nobody listens there, the error wraps ErrWrite, and the
// session goes on. On a session that is closed it is ErrSessionClosed, but in
// OnSessionClosed, which may still send while the socket is open.
func (s *Session) Send(p []byte) error {
	ps := s.ps.Load()
	if ps.Reason() != "" && !s.parting.Load() {
		return ErrSessionClosed
	}
	switch err := s.server.socket.write(p, ps.ID()); {
	case errors.Is(err, net.ErrClosed):
		return ErrSessionClosed
	case err != nil:
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	if s.server.Activity != Received {
		ps.Touch()
	}
	return nil
}

// receive queues a datagram, or drops it if there is no room. It reports false if
// the session is closed and the datagram is for the next one. It is called on
// Serve's goroutine.
func (s *Session) receive(p []byte) bool {
	ps := s.ps.Load()
	ps.Pin() // until its turn ends, if it gets one
	if !s.alive(ps) {
		ps.Unpin()
		return false
	}
	d := s.server.keep(p)
	s.mu.Lock()
	closed := s.over || s.draining
	room := d != nil && int(s.waiting) < s.server.maxPending
	queued := room && !closed
	turn := queued && !s.busy
	if queued {
		s.pushLocked(d)
		s.busy = true
	}
	s.mu.Unlock()
	if turn {
		s.server.giveTurn(s)
		return true
	}
	ps.Unpin()
	if !queued {
		s.server.discard(d)
	}
	if !room && !closed {
		s.server.refuse(ps.ID(), ErrPendingFull)
	}
	return !closed
}

// alive reports whether the session is open, and notes activity.
func (s *Session) alive(ps *pool.Session[netip.AddrPort, *transport]) bool {
	if s.server.Activity == Sent {
		return ps.Reason() == ""
	}
	return ps.Touch()
}

// first queues the datagram that began the session and gives it its first turn,
// which it gets even if it was closed meanwhile.
func (s *Session) first(d *datagram) {
	s.mu.Lock()
	s.pushLocked(d)
	// Shutdown marks the server closing before it looks at the sessions: either it
	// sees this one, or this sees the mark.
	s.draining = s.draining || s.server.closing.Load()
	s.mu.Unlock()
	s.server.giveTurn(s)
}

func (s *Session) pushLocked(d *datagram) {
	s.pending.push(d)
	s.waiting++
}

// next takes the datagram that has waited longest; nil if there is none, or the
// session is closed.
func (s *Session) next() *datagram {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	return s.popLocked()
}

func (s *Session) popLocked() *datagram {
	d := s.pending.pop()
	if d != nil {
		s.waiting--
		s.server.unkeep(d)
	}
	return d
}

// transport is a session as its pool sees it: something to close.
type transport Session

// Close is called by the pool, once, when somebody has won the close. It waits
// for nothing.
func (t *transport) Close() error {
	s := (*Session)(t)
	s.mu.Lock()
	s.over = true
	turn := !s.busy
	s.busy = true
	s.mu.Unlock()
	if turn {
		s.server.giveTurn(s) // to call OnSessionClosed
	}
	return nil
}

// drain tells the session to close with Shutdown when it has handled what is
// pending.
func (s *Session) drain() {
	s.mu.Lock()
	s.draining = true
	turn := !s.busy
	s.busy = true
	s.mu.Unlock()
	if turn {
		s.server.giveTurn(s)
	}
}
