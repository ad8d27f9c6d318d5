package tcp

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/pool"
)

// Session is a connection. Its methods may be called from any goroutine, callbacks included,
// and also after it was closed, except that SetSplit, SetMaxFrame and StartTLS are for
// OnMessage only.
type Session struct {
	// Immutable once the goroutine runs. There are as many of these as
	// connections, so what can be computed is not kept.
	server *Server
	ps     *pool.Session[int64, *transport]
	conn   net.Conn
	raw    syscall.RawConn // nil unless conn is a plain socket that takes reads and writes past it

	// Of the goroutine that runs the session.
	w        *worker       // nil while it is parked
	buf      *buffer       // nil while nothing is pending
	restedAt time.Duration // when it was parked, if that was as soon as it had handled its input
	limit    *timeLimit    // nil until it is first needed
	frames   uint64
	reserved int   // what buf counts for in MaxPendingBytes
	hint     uint8 // the class of buffer that the last frames needed
	empties  uint8 // tokens in a row without progress
	armed    bool  // the limit is that of the frame that is pending
	late     bool  // it has passed
	ended    bool  // the peer has closed its side
	final    bool  // Split wants no more
	greeted  bool  // the first bytes of a handshake were waited for
	opened   bool  // OnNewSessionRegister is due or was called
	parts    bool  // set by the close: what is last is to be sent yet

	over bool // the last callback has returned; guarded by Server.ends

	tls atomic.Pointer[tls.Conn] // on conn, if the server has put it there
	out outbound

	phase   atomic.Uint32
	holds   atomic.Int32
	marks   marks
	parked  atomic.Bool // no goroutine runs it; see park
	framing atomic.Pointer[framing]
	fault   atomic.Pointer[fault] // the first
	value   atomic.Pointer[any]
	bound   atomic.Pointer[binding]
	idling  atomic.Pointer[chan struct{}] // closed when OnIdle, which runs, has returned
}

// The phases of a session. The reader, OnIdle and Shutdown change them by
// compare-and-swap, so that none misses the others; phaseOver is stored when
// the session is closed.
const (
	phaseOpening     uint32 = iota // the TLS handshake
	phaseRegistering               // in OnNewSessionRegister
	phaseLastCall                  // registering, and closes with Shutdown then
	phaseIdle                      // from here on Sessions shows it; waits for a whole frame
	phaseIdling                    // waits, and OnIdle runs
	phaseBusy                      // has frames to hand to OnMessage
	phaseDraining                  // busy, and closes with Shutdown then
	phaseOver
)

// shown reports whether OnNewSessionRegister has returned.
func (s *Session) shown() bool { return s.phase.Load() >= phaseIdle }

// ID returns the session's ID, which is unique among the sessions of its server. IDs count
// from 1.
func (s *Session) ID() int64 { return s.ps.ID() }

// RemoteAddr returns the peer's address.
func (s *Session) RemoteAddr() net.Addr { return s.conn.RemoteAddr() }

// LocalAddr returns the address that the peer connected to.
func (s *Session) LocalAddr() net.Addr { return s.conn.LocalAddr() }

// NetConn returns the connection that the server has accepted, to ask it for what only its type
// knows. It must not be read from, written to or closed.
func (s *Session) NetConn() net.Conn { return s.conn }

// RegisteredAt returns the time at which the connection was accepted, with a monotonic clock
// reading.
func (s *Session) RegisteredAt() time.Time { return s.ps.RegisteredAt() }

// LastActive returns the time at which the session was registered or last active, as
// Server.Activity defines it, with a monotonic clock reading.
func (s *Session) LastActive() time.Time { return s.ps.LastActive() }

// Deadline returns the time at which the session ends if there is no activity until then,
// with a monotonic clock reading. It reports false if the session never ends by itself or is
// closed. While the session is held, as it is during OnMessage, only MaxLifetime counts.
func (s *Session) Deadline() (at time.Time, ok bool) { return s.ps.Deadline() }

// Value returns the value that SetValue stored last, or nil if there is none.
func (s *Session) Value() any {
	if v := s.value.Load(); v != nil {
		return *v
	}
	return nil
}

// SetValue stores a value with the session, for Value to return.
func (s *Session) SetValue(v any) { s.value.Store(&v) }

// Close closes the session for the given reason, which may be any text; "" stands for
// pool.Closed. It reports whether this call closed the session: only the first does, and
// later calls change nothing. Close does not wait for the peer or for callbacks: no further
// frame is handled, and the session's goroutine calls Farewell and OnSessionClosed after the
// callback that is running. The server then sends what is queued and the farewell within
// LingerTimeout, and closes the connection. If there is nothing to send, the connection is
// closed when Close returns.
func (s *Session) Close(r pool.Reason) bool { return s.ps.Close(r) }

// Finish closes the session for the given reason, and what is queued is still sent. Only the
// first Close or Finish counts; a reason of "" stands for pool.Closed. Finish does not wait:
// from then on no further frame is handled, Post and Send return ErrSessionClosed, and Farewell
// is not called. The server sends what is queued, for which WriteTimeout applies, closes its
// writing side, and drops what the peer sends for at most LingerTimeout, so that the peer gets
// all of it. So post the last reply first, and then call Finish.
func (s *Session) Finish(r pool.Reason) {
	preempt.At("finish: begun")
	s.ps.CloseFunc(r, func() { s.marks.set(markFinishing) })
}

// Hold keeps the session from timing out until release is called, for example while another
// goroutine works on a reply. If Hold is called several times, the session is held until each
// release has been called. The first call of release counts as activity, whatever
// Server.Activity says; further calls do nothing. A session whose peer has closed its side
// stays open while it is held, so that the reply can be sent.
func (s *Session) Hold() (release func()) {
	s.holds.Add(1)
	unhold := s.ps.Hold()
	var once sync.Once
	return func() {
		once.Do(func() {
			unhold()
			if s.holds.Add(-1) == 0 {
				s.wakeEnd()
			}
		})
	}
}

// SetIdleTimeout gives the session an idle timeout of its own, counted from its last
// activity. 0 means the server's, even after that changes; negative means that the session
// does not time out. It does nothing on a closed session.
func (s *Session) SetIdleTimeout(d time.Duration) { s.ps.SetIdleTimeout(d) }

// serve runs the session on a worker until it has ended or is parked.
func (s *Session) serve(w *worker) {
	var parked, returned bool
	defer func() {
		if !parked {
			s.end(recover(), returned)
		}
	}()
	w.attach(s)
	parked = s.run()
	returned = true
}

// run is kept apart from serve, and what needs much stack apart from run, so
// that a goroutine that waits for input gets by with the least stack.
func (s *Session) run() (parked bool) {
	if !s.opened {
		if s.awaitsHello() && s.park((*Session).watchInput) {
			return true
		}
		if !s.open() {
			return false
		}
		s.w.hurried = s.canPark()
	} else {
		s.resume()
	}
	if s.marks.has(markAwaiting) {
		return s.awaitReplies()
	}
	for {
		o := s.await()
		if o == hasInput {
			o = s.consume()
		}
		switch o {
		case isOver:
			return false
		case isHalfway:
			return s.awaitReplies()
		case isSilent:
			if s.rest() {
				return true
			}
		}
	}
}

// resume is called when a session was parked. One that has rested for a while will probably
// rest again soon: then it is parked as soon as it has handled what is there.
func (s *Session) resume() {
	s.w.hurried = s.server.wheel.Elapsed()-s.restedAt > parkAfter
	s.w.vain = true
}

// rest parks a session that has no input. One that cannot be parked waits without a buffer.
func (s *Session) rest() (parked bool) {
	s.restedAt = longAgo
	if s.w.hurried && s.w.worked {
		s.restedAt = s.server.wheel.Elapsed()
	}
	s.w.hurried = false
	if s.canPark() && s.park((*Session).watchInput) {
		return true
	}
	s.w.check.spent = true
	if s.buf != nil && s.buf.empty() {
		s.giveBack()
	}
	return false
}

// open brings the session to where it waits for frames, and reports false if it
// was closed on the way.
//
//go:noinline
func (s *Session) open() bool {
	if f := s.handshake(); f != nil {
		s.fail(f)
		return false
	}
	if !s.phase.CompareAndSwap(phaseOpening, phaseRegistering) {
		return false
	}
	s.opened = true
	if l := s.server.logger; l != nil && l.Enabled(context.Background(), slog.LevelDebug) {
		s.server.log(slog.LevelDebug, "tcp: session opened", slog.Int64("session", s.ID()), remote(s.conn))
	}
	if f := s.server.OnNewSessionRegister; f != nil {
		f(s)
	}
	s.ps.Touch() // the idle timeout counts from here
	s.ps.Unpin()
	if !s.becomeIdle(phaseRegistering) {
		return false
	}
	s.flush()
	// Shutdown marks the server closing before it looks at the sessions: either
	// it sees this one idle, or this sees the mark.
	if s.server.closing.Load() && s.drain() {
		s.ps.Close(pool.Shutdown)
		return false
	}
	return true
}

// becomeIdle goes from busy or registering to idle, unless the session is closed or to be.
func (s *Session) becomeIdle(from uint32) bool {
	if s.phase.CompareAndSwap(from, phaseIdle) {
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
