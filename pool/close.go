package pool

import (
	"runtime/debug"
	"time"
)

// grace is how long after a stall nothing times out that came due meanwhile.
const grace = 250 * time.Millisecond

// Close closes the session for the given reason, which may be any text. It
// reports true for the one call that closed it; every other call reports false
// and changes nothing. It returns when the connection is closed and
// OnSessionClosed has returned, with the one exception that OnSessionClosed
// waits for OnNewSessionRegister.
func (s *Session[K, C]) Close(r Reason) bool {
	won := s.win(r)
	if won {
		s.finish()
	}
	return won
}

// win decides who closes the session. The winner calls finish.
func (s *Session[K, C]) win(r Reason) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.winLocked(r)
}

func (s *Session[K, C]) winLocked(r Reason) bool {
	if s.state != open {
		return false
	}
	s.state = closed
	s.reason = r
	s.timer.Stop()
	return true
}

// finish ends a session for the one who won it.
func (s *Session[K, C]) finish() {
	s.pool.remove(s)
	s.closeConn()
}

// closeConn does what may block.
func (s *Session[K, C]) closeConn() {
	defer s.closeAnnounced() // also when the connection's Close panics
	defer s.pool.guard()
	_ = s.conn.Close() // it is gone either way, and its owner may report this better
}

// closeAnnounced calls OnSessionClosed, or leaves that to Register while
// OnNewSessionRegister runs.
func (s *Session[K, C]) closeAnnounced() {
	s.mu.Lock()
	born := s.birth == told
	if !born {
		s.birth = owing
	}
	s.mu.Unlock()
	if born {
		s.tellClosed()
	}
}

// tellRegistered calls OnNewSessionRegister, and then OnSessionClosed if the
// session was closed meanwhile.
func (s *Session[K, C]) tellRegistered() {
	f := s.pool.c.OnNewSessionRegister
	if f == nil {
		return
	}
	defer func() {
		s.mu.Lock()
		owed := s.birth == owing
		s.birth = told
		s.mu.Unlock()
		if owed {
			s.tellClosed()
		}
	}()
	defer s.pool.guard()
	f(s)
}

// tellClosed calls OnSessionClosed and closes Done.
func (s *Session[K, C]) tellClosed() {
	defer func() {
		s.mu.Lock()
		s.state = ended
		done := s.done
		s.mu.Unlock()
		if done != nil {
			close(done)
		}
		s.pool.ended()
	}()
	defer s.pool.guard()
	if f := s.pool.c.OnSessionClosed; f != nil {
		f(s, s.reason) // the reason is fixed since the close was won
	}
}

// guard, deferred, hands a panic to OnPanic, if there is one.
func (p *Pool[K, C]) guard() {
	if p.c.OnPanic == nil {
		return
	}
	if v := recover(); v != nil {
		p.c.OnPanic(v, debug.Stack())
	}
}

// expire is the timer's callback: it decides whether the session is over.
func (s *Session[K, C]) expire() {
	now := s.pool.wheel.Elapsed()
	s.mu.Lock()
	r := s.verdictLocked(now)
	won := r != "" && s.winLocked(r)
	s.mu.Unlock()
	if won {
		s.finish()
	}
}

// verdictLocked is the reason to close a session whose timer has fired; "" if
// it lives on.
func (s *Session[K, C]) verdictLocked(now time.Duration) Reason {
	due, pending := s.timer.Due()
	if s.state != open || pending { // closed, or touched, after the timer fired
		return ""
	}
	if s.pool.c.MaxLifetime != 0 && due >= s.lifeEnd() {
		return Lifetime
	}
	if s.pins.Load()&^lapsed != 0 {
		s.pins.Or(lapsed)
		s.armLocked(now)
		return ""
	}
	// The grace is given once for one stretch of idleness: if the timer was set
	// for it, and not for the last activity, it is over.
	spared := s.spared && due != s.deadline(time.Duration(s.active.Load()), s.idle.Load())
	if from, to := s.pool.wheel.LastStall(); to != 0 && due >= from && now < to+grace && !spared {
		s.timer.ResetTo(to + grace)
		s.spared = true
		return ""
	}
	return Timeout
}
