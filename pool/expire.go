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
	notBefore, warnedAt, _ := s.detail.Load().since(active)
	switch warnedAt {
	case warningPending: // its time goes on when OnIdle is called
		return wheel.Never
	case 0:
		return max(active+s.quiet(), notBefore)
	default:
		return max(active+idle, warnedAt+s.shard.pool.c.warning(idle), notBefore)
	}
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
		notBefore, warnedAt, _ := s.detail.Load().since(time.Duration(active))
		switch warnedAt {
		case 0: // if the warning was put off, what follows it is too
			warnedAt = notBefore
		case warningPending:
			warnedAt = s.shard.pool.wheel.Elapsed()
		}
		due = min(due, max(time.Duration(active)+idle, warnedAt+s.shard.pool.c.warning(idle), notBefore))
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

// expiry is a session as the owner of its own entry, which keeps Expire, Settle and
// Fire out of the session's methods.
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

// Settle decides about the sessions of one shard that the wheel found to be due. What
// may block is left to Fire: closed sessions are to be finished, and warned ones are
// replaced by their idling.
func (e *expiry[K, C]) Settle(batch []wheel.Due) (settled int) {
	sh := (*Session[K, C])(e).shard
	batch, wake := sh.settle(batch)
	if wake {
		sh.pool.wheel.Wake()
	}
	for _, due := range batch {
		if closed, ok := due.Owner.(*expiry[K, C]); ok {
			(*Session[K, C])(closed).cancelContext()
		}
	}
	return len(batch)
}

// expire does at once what the wheel does when it finds the session to be due, as it is
// from now on.
func (s *Session[K, C]) expire() {
	batch := [1]wheel.Due{{Owner: (*expiry[K, C])(s), At: s.shard.pool.wheel.Elapsed()}}
	(*expiry[K, C])(s).Settle(batch[:])
	if due := batch[0]; due.Owner != nil {
		due.Owner.Fire(s.shard.pool.wheel.Elapsed(), due.At)
	}
}

// Fire finishes a session that Settle has closed.
func (e *expiry[K, C]) Fire(now, due time.Duration) {
	(*Session[K, C])(e).closeConn(now, due)
}

// idling is a session whose OnIdle is to be called. It owns no entry.
type idling[K comparable, C io.Closer] Session[K, C]

// Expire is never called.
func (*idling[K, C]) Expire(time.Duration) time.Duration { return wheel.Never }

// Fire calls OnIdle.
func (i *idling[K, C]) Fire(_, _ time.Duration) { (*Session[K, C])(i).notifyIdle() }

// settle settles the first sessions of a batch, those of this shard, and returns their
// part of it.
func (sh *shard[K, C]) settle(batch []wheel.Due) (_ []wheel.Due, wake bool) {
	n := 0
	for n < len(batch) && sh.owns(batch[n].Owner) {
		n++
	}
	batch = batch[:n]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.fetchLocked(batch)
	now := sh.pool.wheel.Elapsed()
	for i := range batch {
		due := &batch[i]
		s := (*Session[K, C])(due.Owner.(*expiry[K, C]))
		outcome, at, again := s.expireLocked(now)
		wake = wake || again
		switch outcome {
		case goesOn:
			due.Owner = nil
		case warned:
			due.Owner = (*idling[K, C])(s)
		case closed:
			due.At = max(due.At, at) // due.At is later if the timeout was made shorter, or by UnpinAndExpire
		}
	}
	return batch, wake
}

// owns reports whether o is a session of this shard.
func (sh *shard[K, C]) owns(o wheel.Owner) bool {
	e, ok := o.(*expiry[K, C])
	return ok && e.shard == sh
}

// fetchLocked reads what it takes to close some sessions. Compare-and-swaps wait for
// each other's memory; these reads do not, so that memory that is in no cache comes
// for many sessions at once. The result keeps the compiler from leaving them out.
//
//go:noinline
func (sh *shard[K, C]) fetchLocked(batch []wheel.Due) (all uint32) {
	for _, due := range batch {
		s := (*Session[K, C])(due.Owner.(*expiry[K, C]))
		if d := s.detail.Load(); d != nil {
			all += uint32(d.idle)
		}
		all += sh.sessions.fetch(s.hash)
	}
	return all
}

// outcome is what became of a session whose time had come.
type outcome uint8

const (
	goesOn outcome = iota // and its entry is armed again
	warned                // so does this one, and OnIdle is to be called, which arms it
	closed                // to be finished
)

// expireLocked decides whether a session is over that the wheel found to be due. It
// decides by the last activity alone: if a Touch comes between, it looks again.
func (s *Session[K, C]) expireLocked(now time.Duration) (o outcome, due time.Duration, wake bool) {
	for {
		active := s.active.Load()
		if active < 0 {
			return goesOn, 0, false
		}
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
	_, warnedAt, graceUsed := s.detail.Load().since(active)
	// The grace is given once for one stretch of idleness.
	from, to := p.wheel.LastStall()
	if to != 0 && due >= from && now < to+grace && !graceUsed {
		s.spareLocked(active, to+grace)
		return goesOn, "", to + grace
	}
	if warnedAt == 0 && p.c.warning(s.idleTimeout()) > 0 {
		s.warnLocked(active, warningPending)
		s.shard.idling.Add(1)
		return warned, "", wheel.Never
	}
	return closed, Timeout, due
}

// notifyIdle calls OnIdle, if the session is still to be warned.
func (s *Session[K, C]) notifyIdle() {
	defer s.idleReturned()
	warned, wake := s.beginWarning()
	if wake {
		s.shard.pool.wheel.Wake()
	}
	if warned {
		defer s.shard.pool.guard()
		s.shard.pool.c.OnIdle(s)
	}
}

// beginWarning has a session that is to be warned go on from now. It reports false if it
// was closed, touched, pinned or given more time since it was found to be idle.
func (s *Session[K, C]) beginWarning() (warned, wake bool) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	active, now := time.Duration(s.active.Load()), s.shard.pool.wheel.Elapsed()
	if _, at, _ := s.detail.Load().since(active); at == warningPending {
		if warned = s.state.Load() < onePin; warned {
			s.warnLocked(active, now)
		} else {
			s.warnLocked(active, 0)
		}
	}
	return warned, s.armLocked(now)
}

func (s *Session[K, C]) idleReturned() {
	if s.shard.idling.Add(-1) == 0 && s.shard.pool.passed.Load() {
		s.shard.pool.checkDrained()
	}
}
