package tcp

import (
	"time"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
)

// A session that has nothing to do is parked: it has no goroutine and no buffer, unless part
// of a frame is pending. It is woken by whoever makes parked false: the poller when there is
// input, its limit, the close, and, when its peer has closed its side, what it waits for then.
// That one has a worker run it. Everything a session needs is in the Session by then.

// longAgo stands for a session that has not been parked, or was active before.
const longAgo = -time.Hour

// park parks the session, and arm has somebody wake it. It reports false if the session is to
// go on: arm has refused, or it was closed.
func (s *Session) park(arm func(*Session) bool) (parked bool) {
	w := s.w
	if s.buf != nil && s.buf.empty() {
		s.giveBack()
	}
	if !s.armed && s.phase.Load() != phaseOpening {
		s.limit = nil
	}
	l := s.limit
	w.detach(s)
	preempt.At("park: nobody runs the session")
	s.server.parked.Add(1)
	s.parked.Store(true)
	preempt.At("park: the session is parked")
	// Whoever could not wake it before has left a trace by now.
	if s.phase.Load() != phaseOver && !l.passed() && arm(s) {
		return true
	}
	preempt.At("park: refused")
	if !s.unpark() {
		return true // a worker runs it already
	}
	w.attach(s)
	return false
}

// canPark reports whether the poller can tell when there is input. The input of a connection
// that wraps a socket has to come from that.
func (s *Session) canPark() bool { return canPoll && s.socket() != nil }

// unpark reports true to one caller alone, who is to have the session run.
func (s *Session) unpark() bool {
	if !s.parked.CompareAndSwap(true, false) {
		return false
	}
	s.server.parked.Add(-1)
	return true
}

// wake has a worker run the session, if it is parked.
func (s *Session) wake() {
	if s.unpark() {
		preempt.At("wake: not parked any more")
		s.server.workers.run(s)
	}
}
