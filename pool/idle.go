package pool

import "time"

// SetIdleTimeout changes the idle timeout of the pool: for sessions to come, and
// for those that there are and have none of their own, counted from now. 0 means
// 5 minutes; negative means for ever. It goes over all sessions, as All does; a
// session that is registered meanwhile has the new one when Register returns.
func (p *Pool[K, C]) SetIdleTimeout(d time.Duration) {
	p.idle.Store(int64(idleTimeout(d)))
	for _, s := range p.All() {
		s.follow()
	}
}

// idleTimeout fills in what is zero or for ever.
func idleTimeout(d time.Duration) time.Duration {
	switch {
	case d == 0:
		return defaultIdleTimeout
	case d < 0 || d > never:
		return never
	default:
		return d
	}
}

// quiet is c.quiet of the pool's idle timeout.
func (p *Pool[K, C]) quiet() time.Duration {
	return p.c.quiet(time.Duration(p.idle.Load()))
}

// SetIdleTimeout gives the session an idle timeout of its own, counted from
// now. 0 means the pool's, from then on; negative means for ever. On a session
// that is closing it does nothing.
func (s *Session[K, C]) SetIdleTimeout(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open() {
		return
	}
	if d == 0 {
		s.flags.And(^own)
		s.setQuietLocked(s.pool.quiet())
	} else {
		s.flags.Or(own)
		s.setQuietLocked(s.pool.c.quiet(idleTimeout(d)))
	}
}

// setQuietLocked sets when an open session is idle, counted from now.
func (s *Session[K, C]) setQuietLocked(quiet time.Duration) {
	now := s.pool.wheel.Elapsed()
	s.flags.And(^(warned | spared))
	s.settleLocked()
	s.quiet.Store(-int64(quiet))
	s.armLocked(now, now+quiet)
}

// follow takes over the pool's idle timeout if that has changed.
func (s *Session[K, C]) follow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open() {
		s.followLocked()
	}
}

func (s *Session[K, C]) followLocked() {
	if quiet := s.pool.quiet(); s.flags.Load()&own == 0 && quiet != s.quietLocked() {
		s.setQuietLocked(quiet)
	}
}
