package tcp

import (
	"log/slog"
	"runtime/debug"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// end is deferred by the session's goroutine. It runs whether the loop
// returned, a callback panicked, or one called runtime.Goexit, and so does each
// of its steps whatever the step before did.
func (s *Session) end() {
	defer s.server.leave()
	defer s.server.ends.End(s, &s.over)
	defer s.unbind()
	defer s.tellClosed()
	defer s.tellFault()
	if v := recover(); v != nil {
		stack := debug.Stack()
		s.server.logPanic(v, stack)
		s.crashed(netserver.NewPanicError("tcp", v, stack))
	} else if !s.done {
		s.crashed(ErrGoexit)
	}
	s.giveBack()
	// Somebody else may be closing it: wait until the connection is closed.
	if !s.ps.Close(pool.Shutdown) {
		<-s.ps.Done()
	}
	if !s.heard.Load() && s.ps.Reason() == ReasonEOF {
		s.server.probes.Add(1)
	}
	s.queue.Store(nil) // whoever writes it still has taken it already
}

// crashed closes the session for a callback that did not return.
func (s *Session) crashed(err error) {
	s.buf = nil // the callback may have kept part of it
	f := &fault{ReasonPanic, err}
	s.fault.Store(f) // told in any case
	s.ps.Close(f.reason)
}

// tellFault calls OnError if a fault is what closed the session, or a callback
// crashed.
func (s *Session) tellFault() {
	if f := s.fault.Load(); f != nil && (f.reason == s.ps.Reason() || f.reason == ReasonPanic) {
		s.tell(f.err)
	}
}

// tell calls OnError. A panic there goes to the log alone.
func (s *Session) tell(err error) {
	if s.server.logger != nil {
		s.server.log(slog.LevelWarn, "tcp: session fault",
			slog.Int64("session", s.ID()), remote(s.conn), slog.Any("error", err))
	}
	if s.server.OnError == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.server.logPanic(v, debug.Stack())
		}
	}()
	s.server.OnError(s, err)
}

// tellClosed calls OnSessionClosed, if OnNewSessionRegister was due.
func (s *Session) tellClosed() {
	r := s.ps.Reason()
	if s.server.logger != nil {
		s.logClosed(r)
	}
	if !s.opened || s.server.OnSessionClosed == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			stack := debug.Stack()
			s.server.logPanic(v, stack)
			s.tell(netserver.NewPanicError("tcp", v, stack))
		}
	}()
	s.server.OnSessionClosed(s, r)
}

// transport is a session as its pool sees it: something to close.
type transport Session

// Close is called by the pool, once, when somebody has won the close. The reason
// is fixed by then.
func (t *transport) Close() error {
	s := (*Session)(t)
	before := s.phase.Swap(phaseOver)
	s.stopClaim()
	s.server.releaseIP(s) // before the peer can know of it and come again
	// While it is opening there is no handshake done to say farewell on, and ps
	// may not be set.
	farewell := before != phaseOpening && hasFarewell(s.ps.Reason())
	if farewell {
		s.writeLast()
	}
	return closeConn(s.conn, farewell)
}

// drain tells a session that is busy to close with Shutdown when it has handed
// on what it has read. It reports true for one that waits, which is the caller's
// to close.
func (s *Session) drain() (waits bool) {
	for {
		switch s.phase.Load() {
		case phaseBusy:
			if s.phase.CompareAndSwap(phaseBusy, phaseDraining) {
				return false
			}
		case phaseRegistering:
			if s.phase.CompareAndSwap(phaseRegistering, phaseLastCall) {
				return false
			}
		case phaseIdle:
			if s.phase.CompareAndSwap(phaseIdle, phaseOver) { // what it reads from now on is dropped
				return true
			}
		case phaseOpening:
			return true
		default:
			return false
		}
	}
}
