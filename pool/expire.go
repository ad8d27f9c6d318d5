package pool

import (
	"io"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// grace is how long after a stall nothing times out that came due meanwhile.
const grace = 250 * time.Millisecond

// idleTimeout is the session's own idle timeout, or the pool's.
func (s *Session[K, C]) idleTimeout() time.Duration {
	if d := s.detail.Load(); d != nil && d.idle != 0 {
		return d.idle
	}
	return time.Duration(s.shard.pool.idle.Load())
}

// quiet is how long after its last activity a session is idle for long enough to
// be warned of, or, if nothing is, to time out. A session that must not time out
// yet is looked at again after that: whenever it is touched by then, it is in time.
func (s *Session[K, C]) quiet() time.Duration {
	idle := s.idleTimeout()
	return idle - s.shard.pool.c.warning(idle)
}

// idleAt is when a session that was last active at that time has been idle for
// long enough: to be warned of, if it was not, or else to time out.
func (s *Session[K, C]) idleAt(active time.Duration) time.Duration {
	idle := s.idleTimeout()
	if idle >= never {
		return wheel.Never
	}
	preempt.At("due: the idle timeout is read")
	notBefore, warned, _ := s.detail.Load().since(active)
	if !warned {
		idle = s.quiet()
	}
	return max(active+idle, notBefore)
}

// idleDue is idleAt of an open session's last activity.
func (s *Session[K, C]) idleDue() (due time.Duration, open bool) {
	active := s.active.Load()
	if active < 0 {
		return 0, false
	}
	return s.idleAt(time.Duration(active)), true
}

// lifeEnd is when the session's lifetime is over.
func (s *Session[K, C]) lifeEnd() time.Duration {
	if life := s.shard.pool.c.MaxLifetime; life > 0 {
		return s.registered + life
	}
	return wheel.Never
}

// Deadline returns the time at which the session ends if there is no activity until then:
// its idle timeout or the end of its lifetime, whichever comes first. The time has a
// monotonic clock reading. Deadline reports false if the session never ends by itself or is
// closed. While the session is held, only its lifetime counts. A deadline that has just
// passed may be returned until the session is closed.
func (s *Session[K, C]) Deadline() (at time.Time, ok bool) {
	active := s.active.Load()
	if active < 0 {
		return time.Time{}, false
	}
	due := s.lifeEnd()
	if s.state.Load() < onePin {
		idle := s.idleTimeout()
		notBefore, warned, _ := s.detail.Load().since(time.Duration(active))
		end := max(time.Duration(active)+idle, notBefore)
		if !warned && notBefore > 0 { // the warning was put off, and what follows it too
			end = max(end, notBefore+s.shard.pool.c.warning(idle))
		}
		due = min(due, end)
	}
	if due >= never {
		return time.Time{}, false
	}
	return s.shard.pool.wheel.Time(due), true
}

// armLocked has the wheel ask for an open session in time. It reports whether the
// wheel is to be woken when the lock is free.
func (s *Session[K, C]) armLocked(now time.Duration) (wake bool) {
	due, open := s.idleDue()
	return open && s.shard.pool.wheel.Arm(&s.entry, now, min(due, s.lifeEnd()))
}

// expiry is a session as the owner of its own entry, which keeps Expire and Fire
// out of the session's methods.
type expiry[K comparable, C io.Closer] Session[K, C]

// Expire returns when the session is due. The wheel calls it with a lock held.
func (e *expiry[K, C]) Expire(now time.Duration) (due time.Duration) {
	s := (*Session[K, C])(e)
	due, open := s.idleDue()
	switch {
	case !open: // it is about to be disarmed
		return wheel.Never
	case due <= now && s.pinned():
		due = now + s.quiet()
	}
	return min(due, s.lifeEnd())
}

// Fire closes the session or calls OnIdle. The wheel calls it on one of its goroutines.
func (e *expiry[K, C]) Fire() {
	s := (*Session[K, C])(e)
	outcome, due, wake := s.expire()
	if wake {
		s.shard.pool.wheel.Wake()
	}
	switch outcome {
	case closed:
		s.finish(due)
	case warned:
		s.notifyIdle()
	}
}

// outcome is what became of a session whose time had come.
type outcome uint8

const (
	goesOn outcome = iota // and its entry is armed again
	warned                // so does this one, and OnIdle is to be called
	closed                // to be finished
)

// expire decides whether a session is over that the wheel found to be. It decides
// by the last activity alone: if a Touch comes between, it looks again.
func (s *Session[K, C]) expire() (o outcome, due time.Duration, wake bool) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	for {
		active := s.active.Load()
		if active < 0 {
			return goesOn, 0, false
		}
		now := s.shard.pool.wheel.Elapsed()
		preempt.At("expire: the last activity is read")
		o, reason, next := s.judgeLocked(time.Duration(active), now)
		preempt.At("expire: the session is judged")
		if o != closed {
			return o, 0, s.shard.pool.wheel.Arm(&s.entry, now, min(next, s.lifeEnd()))
		}
		if s.tryCloseLocked(active, reason) {
			return closed, next, false
		}
	}
}

// judgeLocked says what is to become of a session with that last activity: why it
// is closed and when it was due, or when the wheel is to ask for it next.
func (s *Session[K, C]) judgeLocked(active, now time.Duration) (o outcome, r Reason, next time.Duration) {
	p := s.shard.pool
	due, life := s.idleAt(active), s.lifeEnd()
	switch {
	case life <= now && (life <= due || s.pinned()): // which comes first fixes the reason
		return closed, Lifetime, life
	case due > now:
		return goesOn, "", due
	case s.pinned():
		return goesOn, "", now + s.quiet()
	}
	_, wasWarned, graceUsed := s.detail.Load().since(active)
	// The grace is given once for one stretch of idleness.
	from, to := p.wheel.LastStall()
	if to != 0 && due >= from && now < to+grace && !graceUsed {
		s.postponeLocked(active, to+grace, false, true)
		return goesOn, "", to + grace
	}
	if warning := p.c.warning(s.idleTimeout()); !wasWarned && warning > 0 {
		s.postponeLocked(active, now+warning, true, false)
		s.shard.idling.Add(1)
		return warned, "", now + warning
	}
	return closed, Timeout, due
}

// notifyIdle calls OnIdle.
func (s *Session[K, C]) notifyIdle() {
	defer s.idleReturned()
	defer s.shard.pool.guard()
	s.shard.pool.c.OnIdle(s)
}

func (s *Session[K, C]) idleReturned() {
	if s.shard.idling.Add(-1) == 0 && s.shard.pool.passed.Load() {
		s.shard.pool.checkDrained()
	}
}
