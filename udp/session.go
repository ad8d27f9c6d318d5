package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/pool"
)

// Session is a peer, identified by its address. Its methods may be called from
// any goroutine, callbacks included, and also after it was closed.
type Session struct {
	// Immutable. What ps knows is not repeated here, to keep a session small.
	server *Server
	ps     atomic.Pointer[poolSession] // nil until Register has returned

	nextQueued *Session // guarded by the server's runQueue.mu

	// Guarded by the server's addresses.mu.
	nextAddr *Session // of the same bucket
	hash     uint32   // of addr
	listed   bool     // found by addr
	counted  bool     // towards MaxSessionsPerIP; false only when the session has ended, or another has taken its address

	mu sync.Mutex
	// Guarded by mu.
	addr       netip.AddrPort // written with addresses.mu held as well, so either lock is enough to read it
	pending    queue
	numPending int32 // the length of pending
	busy       bool  // in the run queue or running: only the run itself schedules it again
	draining   bool  // to be closed with Shutdown when nothing is pending
	closed     bool  // datagrams that arrive now are for the next session
	replaced   bool  // another session has taken the address: to be closed with Replaced
	idleDue    bool  // OnIdle is to be called in the next run
	over       bool  // OnSessionClosed has returned; guarded by Server.ends instead

	// Used by the session's runs only, which never overlap.
	datagrams uint64 // given to OnMessage
	opened    bool   // OnNewSessionRegister was called

	shown bool // OnNewSessionRegister has returned; guarded by mu

	inOnClosed atomic.Bool // OnSessionClosed is running
	value      atomic.Pointer[any]
}

// ID returns the session's ID, which is its RemoteAddr and changes with it.
// [Server.Session] finds the session by it.
func (s *Session) ID() netip.AddrPort { return s.RemoteAddr() }

// RemoteAddr returns the peer's address and port, which only Rebind changes. An IPv4
// address is in its 4-byte form, even if the socket is an IPv6 one.
func (s *Session) RemoteAddr() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// RegisteredAt returns the time at which the session's first datagram was
// received, with a monotonic clock reading.
func (s *Session) RegisteredAt() time.Time { return s.ps.Load().RegisteredAt() }

// LastActive returns the time at which the session was registered or last active,
// as Server.Activity defines it, with a monotonic clock reading.
func (s *Session) LastActive() time.Time { return s.ps.Load().LastActive() }

// Deadline returns the time at which the session ends if there is no activity
// until then, with a monotonic clock reading. It reports false if the session
// never ends by itself or is closed. While the session is held, as it is while
// datagrams are pending, only MaxLifetime counts.
func (s *Session) Deadline() (at time.Time, ok bool) { return s.ps.Load().Deadline() }

// Value returns the value that SetValue stored last, or nil if there is none.
func (s *Session) Value() any {
	if v := s.value.Load(); v != nil {
		return *v
	}
	return nil
}

// SetValue stores a value with the session, for Value to return.
func (s *Session) SetValue(v any) { s.value.Store(&v) }

// Close closes the session for the given reason, which may be any text; "" stands
// for pool.Closed. It reports whether this call closed the session: only the first
// does, and later calls change nothing. Pending datagrams are dropped, except one
// that OnMessage is handling. Close does not wait: OnSessionClosed is called on
// another goroutine when no other callback of the session is running. The peer is
// sent what Server.Farewell returns, and its next datagram begins another session.
func (s *Session) Close(r pool.Reason) bool { return s.ps.Load().Close(r) }

// Hold keeps the session from timing out until release is called, for example
// while another goroutine works on a reply. If Hold is called several times, the
// session is held until each release has been called. The first call of release
// counts as activity, whatever Server.Activity says; further calls do nothing.
func (s *Session) Hold() (release func()) { return s.ps.Load().Hold() }

// SetIdleTimeout gives the session an idle timeout of its own, counted from its last
// activity. 0 means the server's, even after that changes; negative means that the
// session does not time out. It does nothing on a closed session.
func (s *Session) SetIdleTimeout(d time.Duration) { s.ps.Load().SetIdleTimeout(d) }

// Send sends p to the peer as one datagram, which may be empty. It blocks while
// the socket's send buffer is full, and does not keep p. A successful Send counts
// as activity unless Server.Activity is Received; whether the datagram arrives is
// not known.
//
// If the socket rejects the datagram, for example because it is too large for UDP
// or because an ICMP message reported that the peer's port is closed, the error
// wraps ErrWrite and the session stays open. If the session is closed, the error
// is ErrSessionClosed, except while OnSessionClosed runs, which may still send as long as the
// socket is open.
func (s *Session) Send(p []byte) error {
	ps := s.ps.Load()
	if ps.Reason() != "" && !s.inOnClosed.Load() {
		return ErrSessionClosed
	}
	switch err := s.server.socket.write(p, s.RemoteAddr()); {
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

// receive queues a copy of a datagram, or drops it if too much is pending. It
// reports false if the session is closed: the datagram then begins the next one.
// It is called on Serve's goroutine and does not wait for callbacks.
func (s *Session) receive(p []byte) bool {
	ps := s.ps.Load()
	ps.Pin() // finishRun unpins, unless the session is not scheduled here
	if !s.noteReceived(ps) {
		s.unpin(ps)
		return false
	}
	d := s.server.newDatagram(p)
	s.mu.Lock()
	closed := s.closed || s.draining || s.replaced
	room := d != nil && int(s.numPending) < s.server.maxPending
	queued := room && !closed
	scheduled := queued && !s.busy
	if queued {
		s.pushLocked(d)
		s.busy = true
	}
	s.mu.Unlock()
	if scheduled {
		s.server.schedule(s)
		return true
	}
	s.unpin(ps)
	if !queued {
		s.server.discard(d)
	}
	if !room && !closed {
		s.server.refuse(s.RemoteAddr(), ErrPendingFull)
	}
	return !closed
}

// unpin ends a pin. If datagrams are no activity, they give the session no time.
func (s *Session) unpin(ps *poolSession) {
	if s.server.Activity == Sent {
		ps.UnpinAndExpire()
	} else {
		ps.Unpin()
	}
}

// noteReceived counts a received datagram as activity, unless Server.Activity is
// Sent. It reports whether the session is open.
func (s *Session) noteReceived(ps *poolSession) bool {
	if s.server.Activity == Sent {
		return ps.Reason() == ""
	}
	return ps.Touch()
}

// start queues the datagram that began the session and schedules the session, even
// if it was closed in the meantime: its callbacks are called in any case.
func (s *Session) start(d *datagram) {
	s.mu.Lock()
	s.pushLocked(d)
	// Shutdown sets closing before it goes over the sessions, so either it drains
	// this session, or closing is seen here.
	s.draining = s.draining || s.server.closing.Load()
	s.mu.Unlock()
	s.server.schedule(s)
}

func (s *Session) pushLocked(d *datagram) {
	s.pending.push(d)
	s.numPending++
}

// next removes and returns the oldest pending datagram. It returns nil if there is
// none or the session is closed.
func (s *Session) next() *datagram {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	return s.popLocked()
}

func (s *Session) popLocked() *datagram {
	d := s.pending.pop()
	if d != nil {
		s.numPending--
		s.server.unreserve(d)
	}
	return d
}

// transport is the view that the pool has of a session: an io.Closer with an
// address, which RecentlyClosed returns.
type transport Session

func (t *transport) RemoteAddr() net.Addr {
	return net.UDPAddrFromAddrPort((*Session)(t).RemoteAddr())
}

// Close marks the session as closed and schedules it, so that OnSessionClosed is
// called. The pool calls it once. It does not block.
func (t *transport) Close() error {
	s := (*Session)(t)
	preempt.At("transport: the session is closed")
	s.server.addresses.unlist(s)
	s.mu.Lock()
	s.closed = true
	wasBusy := s.busy
	s.busy = true
	s.mu.Unlock()
	if !wasBusy {
		s.server.schedule(s)
	}
	return nil
}

// drain closes the session with pool.Shutdown as soon as its pending datagrams
// have been handled. It does not wait for that.
func (s *Session) drain(ps *poolSession) {
	s.mu.Lock()
	s.draining = true
	wasBusy := s.busy
	s.busy = true
	if !wasBusy {
		ps.Pin() // until it is closed: Rebind may give it datagrams before it runs
	}
	s.mu.Unlock()
	if !wasBusy {
		s.server.schedule(s)
	}
}
