package tcp

import (
	"runtime/debug"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
)

// idle calls OnIdle, if the session waits for a frame. It runs on a goroutine of the wheel,
// while the session's own waits for input.
func (s *Session) idle() {
	done := make(chan struct{})
	if !s.idling.CompareAndSwap(nil, &done) {
		return // the one before still runs
	}
	defer func() {
		s.phase.CompareAndSwap(phaseIdling, phaseIdle)
		s.idling.Store(nil)
		close(done)
		s.wakeEnd()
	}()
	if !s.phase.CompareAndSwap(phaseIdle, phaseIdling) {
		return // it is not idle any more
	}
	returned := false
	defer func() {
		if v := recover(); v != nil {
			stack := debug.Stack()
			s.server.logPanic(v, stack)
			s.crash(netserver.NewPanicError("tcp", v, stack))
		} else if !returned {
			s.crash(ErrGoexit)
		}
	}()
	s.server.OnIdle(s)
	returned = true
}

// awaitIdle waits until no OnIdle runs. None begins once the session is closed.
func (s *Session) awaitIdle() {
	if idling := s.idling.Load(); idling != nil {
		<-*idling
	}
}
