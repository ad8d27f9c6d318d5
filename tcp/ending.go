package tcp

import (
	"log/slog"
	"runtime/debug"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// end ends the session. It runs whether the loop returned, a callback panicked with v, or one
// called runtime.Goexit, and so does each of its steps whatever the step before did.
func (s *Session) end(v any, returned bool) {
	defer s.server.leave()
	defer s.server.ends.End(s, &s.over)
	defer s.unbind()
	defer s.tellClosed()
	defer s.tellFault()
	s.w.detach(s)
	s.stopLimit()
	if v != nil {
		stack := debug.Stack()
		s.server.logPanic(v, stack)
		s.buf = nil // the callback may have kept part of it
		s.crash(netserver.NewPanicError("tcp", v, stack))
	} else if !returned {
		s.buf = nil
		s.crash(ErrGoexit)
	}
	s.giveBack()
	s.unreserveInput()
	// Somebody else may be closing it: wait until that is done.
	if !s.ps.Close(pool.Shutdown) {
		<-s.ps.Done()
	}
	s.awaitIdle()
	if !s.marks.has(markHeard) && s.ps.Reason() == ReasonEOF {
		s.server.probes.Add(1)
	}
	s.sayLast()
}

// crash closes the session for a callback that did not return.
func (s *Session) crash(err error) {
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
