package pool

import (
	"io"
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
		s.finish(r)
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
	if !s.open() {
		return false
	}
	switch common, ok := endings[r]; {
	case s.end != nil: // for Done
		s.end.reason = r
	case ok:
		s.end = common
	default:
		s.end = &ending{reason: r}
	}
	s.flags.Or(closed)
	s.settleLocked()
	s.timer.Stop()
	return true
}

// finish ends a session for the one who won it.
func (s *Session[K, C]) finish(r Reason) {
	s.pool.remove(s, r)
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
	if s.flags.Or(owing)&telling == 0 {
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
		if s.flags.And(^telling)&owing != 0 {
			s.tellClosed()
		}
	}()
	defer s.pool.guard()
	f(s)
}

// tellClosed calls OnSessionClosed and closes Done.
func (s *Session[K, C]) tellClosed() {
	defer s.tellDone()
	defer s.pool.guard()
	r := s.Reason()
	s.logClosed(r)
	if f := s.pool.c.OnSessionClosed; f != nil {
		f(s, r)
	}
}

func (s *Session[K, C]) tellDone() {
	if s.flags.Or(ended)&awaited != 0 {
		s.mu.Lock()
		done := s.end.done
		s.mu.Unlock()
		close(done)
	}
	s.pool.ended(s)
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

// expiry is a session as the handler of its own timer, which keeps Fire out of
// the session's methods.
type expiry[K comparable, C io.Closer] Session[K, C]

// Fire is called by the wheel.
func (e *expiry[K, C]) Fire() { (*Session[K, C])(e).expire() }

// expire decides whether a session whose timer has fired is over.
func (s *Session[K, C]) expire() {
	now := s.pool.wheel.Elapsed()
	s.mu.Lock()
	r, warn := s.verdictLocked(now)
	won := r != "" && s.winLocked(r)
	s.mu.Unlock()
	switch {
	case won:
		s.finish(r)
	case warn:
		s.tellIdle()
	}
}

func (s *Session[K, C]) tellIdle() {
	defer s.pool.guard()
	s.pool.c.OnIdle(s)
}

// verdictLocked is the reason to close a session whose timer has fired; "" if it
// lives on. It also says whether OnIdle is to be told.
func (s *Session[K, C]) verdictLocked(now time.Duration) (r Reason, warn bool) {
	due, pending := s.timer.Due()
	if !s.open() || pending { // closed, or touched, after the timer fired
		return "", false
	}
	if s.pool.c.MaxLifetime != 0 && due >= s.lifeEnd() {
		return Lifetime, false
	}
	if s.pins.Load()&^lapsed != 0 {
		s.pins.Or(lapsed)
		s.armLocked(now, now+s.quietLocked())
		return "", false
	}
	if s.pool.c.OnIdle != nil && s.flags.Or(warned)&warned == 0 {
		s.armLocked(now, now+s.pool.c.warning(s.quietLocked()))
		return "", true
	}
	// The grace is given once for one stretch of idleness.
	if from, to := s.pool.wheel.LastStall(); to != 0 && due >= from && now < to+grace && s.flags.Or(spared)&spared == 0 {
		s.armLocked(now, to+grace)
		return "", false
	}
	return Timeout, false
}
