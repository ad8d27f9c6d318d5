package pool

import "time"

// SetIdleTimeout changes the idle timeout of new sessions and of all sessions without one
// of their own. It counts from each session's last activity: a session that has been idle
// for longer times out at once. 0 means 5 minutes; negative means that sessions do not time
// out. SetIdleTimeout goes over all sessions, as All does. A session that is registered at
// the same time has the new timeout when Register returns.
func (p *Pool[K, C]) SetIdleTimeout(d time.Duration) {
	p.idle.Store(int64(orDefault(d, defaultIdleTimeout)))
	for _, s := range p.All() {
		s.rearm(nil)
	}
}

// SetIdleTimeout gives the session an idle timeout of its own, counted from its last
// activity: if the session has been idle for longer, it times out at once, after OnIdle if
// that was not called yet. 0 means the pool's idle timeout, even after that changes; negative
// means that the session does not time out. It does nothing on a closed session.
func (s *Session[K, C]) SetIdleTimeout(d time.Duration) {
	own := orDefault(d, 0)
	s.rearm(func(detail *detail) { detail.idle = own })
}

// Renew is Touch and SetIdleTimeout in one step: it records activity and gives the session an
// idle timeout of its own, counted from now. 0 and negative mean what they mean to
// SetIdleTimeout. Renew reports true if the session is open, and then the session does not
// time out before the new timeout, whatever the old one was. It reports false, and changes
// nothing, if the session is closed. So it decides the race between an expiry and a peer that
// comes back at the same moment.
//
// Unlike Touch, Renew takes a lock, and it allocates if the timeout differs from the one before.
func (s *Session[K, C]) Renew(d time.Duration) bool {
	renewed, wake := s.renewLocking(orDefault(d, 0))
	if wake {
		s.shard.pool.wheel.Wake()
	}
	return renewed
}

func (s *Session[K, C]) renewLocking(own time.Duration) (renewed, wake bool) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	if !s.Touch() { // whoever closes it needs mu, so it stays open from here on
		return false, false
	}
	if d := s.detail.Load(); d == nil && own != 0 || d != nil && d.idle != own {
		s.changeLocked(func(d *detail) { d.idle = own })
	}
	return true, s.armLocked(s.shard.pool.wheel.Elapsed())
}

// rearm has the wheel ask for the session when a changed idle timeout is over, if
// it is open.
func (s *Session[K, C]) rearm(change func(*detail)) {
	if s.rearmLocking(change) {
		s.shard.pool.wheel.Wake()
	}
}

func (s *Session[K, C]) rearmLocking(change func(*detail)) (wake bool) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	if !s.open() {
		return false
	}
	if change != nil {
		s.changeLocked(change)
	}
	now := s.shard.pool.wheel.Elapsed()
	s.warnAgainLocked(now)
	return s.armLocked(now)
}

// warnAgainLocked has OnIdle called once more for a session that was warned, if
// its new idle timeout puts that off.
func (s *Session[K, C]) warnAgainLocked(now time.Duration) {
	active, idle := time.Duration(s.active.Load()), s.idleTimeout()
	_, warnedAt, _ := s.detail.Load().since(active)
	if warnedAt != 0 && active+idle-s.shard.pool.c.warning(idle) > now {
		s.warnLocked(active, 0)
	}
}

// orDefault fills in what is zero or has no limit.
func orDefault(d, fallback time.Duration) time.Duration {
	switch {
	case d == 0:
		return fallback
	case d < 0 || d > never:
		return never
	default:
		return d
	}
}
