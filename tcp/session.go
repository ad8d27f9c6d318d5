package tcp

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Session is one connection. Its methods may be called from any goroutine,
// callbacks included, and also after it was closed.
type Session struct {
	// Immutable once the goroutine runs. There are as many of these as
	// connections, so what can be computed is not kept.
	server *Server
	ps     *pool.Session[int64, *transport]
	conn   net.Conn
	raw    syscall.RawConn    // nil unless conn is a plain socket that takes reads and writes past it
	try    func(uintptr) bool // tryRead, if raw is not nil

	// Of the session's goroutine.
	finish  *fault  // set by Finish
	buf     *buffer // nil while nothing is pending
	got     int     // what tryRead got
	frames  uint64
	hint    uint8 // the class of buffer that the last frames needed
	empties uint8 // tokens in a row without progress
	one     [1]byte
	armed   bool // a read deadline is set for the frame that is pending
	ended   bool // the peer has closed its side
	final   bool // Split wants no more
	opened  bool // OnNewSessionRegister is due or was called
	done    bool // the loop returned, as against a panic or Goexit

	// sending is held for each write to the connection, so that writes do not
	// interleave.
	sending sync.Mutex
	// Guarded by sending.
	write  rawWrite
	broken bool // a write failed part way: nothing may follow it

	phase atomic.Uint32
	queue atomic.Pointer[buffer] // what Queue keeps; changes under sending until the session ends
	fault atomic.Pointer[fault]  // the first
	value atomic.Pointer[any]
	bound atomic.Pointer[binding]
}

// The phases of a session. The reader and Shutdown change them by
// compare-and-swap, so that neither misses the other; phaseOver is stored when
// the connection is closed.
const (
	phaseOpening  uint32 = iota // not shown to anybody: the TLS handshake
	phaseIdle                   // waits for a whole frame
	phaseBusy                   // in OnNewSessionRegister, or has frames to hand to OnMessage
	phaseDraining               // busy, and closes with Shutdown then
	phaseOver
)

// ID is unique among the sessions of its server: they count from 1.
func (s *Session) ID() int64 { return s.ps.ID() }

// RemoteAddr is the peer's address.
func (s *Session) RemoteAddr() net.Addr { return s.conn.RemoteAddr() }

// LocalAddr is the address that the peer has connected to.
func (s *Session) LocalAddr() net.Addr { return s.conn.LocalAddr() }

// RegisteredAt is when the connection was accepted, with a monotonic reading.
func (s *Session) RegisteredAt() time.Time { return s.ps.RegisteredAt() }

// LastActive is when the session was registered or last active, in the sense of
// Server.Activity, with a monotonic reading.
func (s *Session) LastActive() time.Time { return s.ps.LastActive() }

// Deadline is when the session ends unless there is activity until then, with a
// monotonic reading. It reports false if that is never, and if the session is
// closed; while it is held, as during OnMessage, only its lifetime counts.
func (s *Session) Deadline() (at time.Time, ok bool) { return s.ps.Deadline() }

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
// and changes nothing. The connection is closed when the winning call returns;
// OnSessionClosed follows on the session's goroutine, when no other callback
// runs there any more.
func (s *Session) Close(r pool.Reason) bool { return s.ps.Close(r) }

// Finish closes the session for the given reason behind its last reply: when the
// callback that calls it has returned, no further frame is handed on, what is
// queued is sent to its end, as Send does it, and then the session is closed,
// unless somebody has closed it meanwhile. Finish is for the session's callbacks;
// the first call's reason counts. In OnSessionClosed and OnError it does nothing.
func (s *Session) Finish(r pool.Reason) {
	if s.finish == nil {
		s.finish = &fault{reason: r}
	}
}

// Hold keeps the session from timing out until the returned func is called, as
// while another goroutine works on a reply. Holds add up. The release counts as
// activity, whatever Server.Activity says; calling it again does nothing.
func (s *Session) Hold() (release func()) { return s.ps.Hold() }

// SetIdleTimeout gives the session an idle timeout of its own, counted from its
// last activity. 0 means the server's; negative means no limit.
func (s *Session) SetIdleTimeout(d time.Duration) { s.ps.SetIdleTimeout(d) }

// serve is the session's goroutine.
func (s *Session) serve() {
	defer s.end()
	s.run()
	s.done = true
}

// run is kept apart from serve, and what needs much stack apart from run, so
// that a goroutine that waits for input gets by with the least stack.
func (s *Session) run() {
	if !s.open() {
		return
	}
	for s.await() && s.consume() {
	}
}

// open brings the session to where it waits for frames, and reports false if it
// was closed on the way.
//
//go:noinline
func (s *Session) open() bool {
	s.ps.Pin()
	if f := s.handshake(); f != nil {
		s.fail(f)
		return false
	}
	if !s.phase.CompareAndSwap(phaseOpening, phaseBusy) {
		return false
	}
	s.opened = true
	if l := s.server.logger; l != nil && l.Enabled(context.Background(), slog.LevelDebug) {
		s.server.log(slog.LevelDebug, "tcp: session opened", slog.Int64("session", s.ID()), remote(s.conn))
	}
	if f := s.server.OnNewSessionRegister; f != nil {
		f(s)
	}
	s.flush()
	if s.finish != nil {
		s.fail(s.finish)
		return false
	}
	s.ps.Touch() // the idle timeout counts from here
	s.ps.Unpin()
	if !s.rest() {
		return false
	}
	// Shutdown marks the server closing before it looks at the sessions: either
	// it sees this one idle, or this sees the mark.
	if s.server.closing.Load() && s.drain() {
		s.ps.Close(pool.Shutdown)
		return false
	}
	return true
}

// rest goes from busy to idle, unless the session is closed or to be.
func (s *Session) rest() bool {
	if s.phase.CompareAndSwap(phaseBusy, phaseIdle) {
		return true
	}
	s.ps.Close(pool.Shutdown)
	return false
}

// fail closes the session for a fault. OnError is told only if this is what
// closed it.
func (s *Session) fail(f *fault) {
	if f.reason == "" {
		return
	}
	if f.err != nil {
		s.fault.CompareAndSwap(nil, f)
	}
	s.ps.Close(f.reason)
}

// logClosed is called with a logger only.
func (s *Session) logClosed(r pool.Reason) {
	now := time.Now()
	s.server.log(slog.LevelInfo, "tcp: session closed",
		slog.Int64("session", s.ID()), remote(s.conn), slog.String("reason", string(r)),
		slog.Duration("idle", now.Sub(s.ps.LastActive())), slog.Duration("age", now.Sub(s.ps.RegisteredAt())),
		slog.Uint64("frames", s.frames))
}
