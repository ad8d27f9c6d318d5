package pool

import (
	"runtime/debug"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
)

// Close closes the session for the given reason, which may be any text; "" means Closed. It
// reports whether this call closed the session: only the first does, and later calls change
// nothing and return at once. The call that closes the session returns after the connection
// was closed and OnSessionClosed has returned, so it must not be made while holding a lock
// that one of them takes. If OnNewSessionRegister has not returned yet, Close does not wait
// for OnSessionClosed, which is then called by Register.
func (s *Session[K, C]) Close(r Reason) bool {
	won := s.tryClose(r)
	if won {
		s.finish()
	}
	return won
}

// CloseFunc is Close for a caller that must do something before the connection is closed. If this
// call closes the session, it calls f when that is decided, on the caller's goroutine and without
// a lock, and then closes the connection, even if f panics. Otherwise f is not called.
func (s *Session[K, C]) CloseFunc(r Reason, f func()) bool {
	won := s.tryClose(r)
	if won {
		defer s.finish()
		f()
	}
	return won
}

// tryClose decides who closes the session. The winner calls finish.
func (s *Session[K, C]) tryClose(r Reason) bool {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	return s.closeLocked(r.orClosed())
}

// closeLocked closes the session, whatever its last activity, unless it is closed
// already.
func (s *Session[K, C]) closeLocked(r Reason) bool {
	for {
		active := s.active.Load()
		if active < 0 {
			return false
		}
		preempt.At("close: the last activity is read")
		if s.tryCloseLocked(active, r) {
			return true
		}
	}
}

// tryCloseLocked closes an open session, if that was its last activity. The
// session is then out of the wheel, its groups and the pool; what may block is left
// to finish.
func (s *Session[K, C]) tryCloseLocked(active int64, r Reason) bool {
	if !s.active.CompareAndSwap(active, ^active) {
		return false
	}
	preempt.At("close: the session is closed")
	s.leaveGroupsLocked()
	shared := s.shard.countLocked(r)
	if d := s.detail.Load(); d == nil || d.done == nil && d.ctx == nil {
		s.detail.Store(shared) // the rest is of no use to a closed session
	} else {
		s.changeLocked(func(d *detail) { d.reason, d.groups = r, nil })
	}
	s.shard.pool.wheel.Disarm(&s.entry)
	s.shard.removeLocked(s)
	return true
}

// finish ends a session that is closed, for the one who closed it.
func (s *Session[K, C]) finish() {
	s.cancelContext()
	s.closeConn(s.shard.pool.wheel.Elapsed(), 0)
}

// closeConn closes the connection and calls OnSessionClosed. Both may block. due is
// when a session had to end whose time was over, and 0 for any other.
func (s *Session[K, C]) closeConn(now, due time.Duration) {
	defer s.notifyUnlessRegistering() // also when the connection's Close panics
	defer s.remember(now, due)
	defer s.shard.pool.guard()
	_ = s.conn.Close() // it is gone either way, and its owner may report this better
}

// notifyUnlessRegistering calls OnSessionClosed, or leaves that to Register while
// OnNewSessionRegister runs.
func (s *Session[K, C]) notifyUnlessRegistering() {
	if s.state.Or(closePending)&registering == 0 {
		s.notifyClosed()
	}
}

// notifyRegistered calls OnNewSessionRegister, and then OnSessionClosed if the
// session was closed meanwhile.
func (s *Session[K, C]) notifyRegistered() {
	defer s.registerReturned()
	if f := s.shard.pool.c.OnNewSessionRegister; f != nil {
		defer func() {
			defer s.shard.pool.guard()
			f(s)
		}()
	}
	defer s.shard.pool.guard()
	s.logRegistered()
}

// registerReturned calls OnSessionClosed if the session was closed before
// OnNewSessionRegister had returned.
func (s *Session[K, C]) registerReturned() {
	if s.state.And(^registering)&closePending != 0 {
		s.notifyClosed()
	}
}

// notifyClosed logs, calls OnSessionClosed and closes Done, whatever panics on the
// way.
func (s *Session[K, C]) notifyClosed() {
	defer s.notifyDone()
	r := s.detail.Load().reason
	if f := s.shard.pool.c.OnSessionClosed; f != nil {
		defer func() {
			defer s.shard.pool.guard()
			f(s, r)
		}()
	}
	defer s.shard.pool.guard()
	s.logClosed(r)
}

func (s *Session[K, C]) notifyDone() {
	if s.state.Or(ended)&doneRequested != 0 {
		close(s.detail.Load().done)
	}
	s.shard.pool.sessionEnded(s)
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
