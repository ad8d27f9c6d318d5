package pool

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// Session is a connection in a pool. It is made by [Pool.Register]. All its
// methods may be called from any goroutine, callbacks included.
type Session[K comparable, C io.Closer] struct {
	// What Touch needs stands together, so that it rarely spans two cache lines.
	pool   *Pool[K, C]
	active atomic.Int64 // the wheel's time of the last activity
	idle   atomic.Int64 // the idle timeout, or never; changes under mu

	// The timer, whose deadline is its first field, is pending while the session
	// is open, save for the moment between its firing and the decision of expire.
	timer wheel.Timer

	// Immutable.
	registered time.Duration // the wheel's time
	id         K
	conn       C

	mu sync.Mutex
	// Guarded by mu.
	done   chan struct{} // made when somebody asks for it
	reason Reason
	state  state
	birth  birth
	spared bool // the timer was set for a moment's grace

	pins atomic.Int32 // how many, and lapsed
}

// lapsed is set in pins when the timer fired while the session was pinned.
const lapsed int32 = 1 << 30

// state is how far a session has come. It only grows.
type state uint8

const (
	open   state = iota
	closed       // somebody has won the close
	ended        // Done is closed
)

// birth is how far OnNewSessionRegister has come.
type birth uint8

const (
	told    birth = iota // it has returned, or there is none
	telling              // it has not returned
	owing                // nor has it, and the session is closed: OnSessionClosed is to follow
)

// ID is what the session was registered under.
func (s *Session[K, C]) ID() K { return s.id }

// Conn is the connection that it was registered with.
func (s *Session[K, C]) Conn() C { return s.conn }

// RegisteredAt is when Register was called, with a monotonic reading.
func (s *Session[K, C]) RegisteredAt() time.Time {
	return s.pool.wheel.Time(s.registered)
}

// LastActive is when the session was registered or last touched, with a
// monotonic reading.
func (s *Session[K, C]) LastActive() time.Time {
	return s.pool.wheel.Time(time.Duration(s.active.Load()))
}

// Touch says that there was activity: the session does not time out for another
// idle timeout. It reports false if the session is closing already; the caller
// then drops what it read.
//
// Touch takes no lock and allocates nothing, unless the timer has just fired:
// then a lock decides between Touch and the timeout.
func (s *Session[K, C]) Touch() bool {
	now := s.pool.wheel.Elapsed()
	idle := s.idle.Load()
	if !s.timer.ExtendTo(s.deadline(now, idle)) || s.idle.Load() != idle {
		return s.rearm(now)
	}
	if s.active.Load() < int64(now) { // else a later Touch was quicker
		s.active.Store(int64(now))
	}
	return true
}

// deadline is when the timer of a session that was active now must fire.
func (s *Session[K, C]) deadline(now time.Duration, idle int64) time.Duration {
	due := after(now, time.Duration(idle))
	if s.pool.c.MaxLifetime != 0 {
		due = min(due, s.lifeEnd())
	}
	return due
}

// lifeEnd is when the session's lifetime is over.
func (s *Session[K, C]) lifeEnd() time.Duration {
	return after(s.registered, s.pool.c.MaxLifetime)
}

// after is now + d, or never if that cannot be counted.
func after(now, d time.Duration) time.Duration {
	if d > never-now {
		return never
	}
	return now + d
}

// rearm is Touch where the timer is not pending or the idle timeout has just
// been changed.
func (s *Session[K, C]) rearm(now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return false
	}
	s.active.Store(int64(now))
	s.armLocked(now)
	return true
}

// armLocked arms the timer of an open session for an idle timeout from now, or
// the end of its lifetime.
func (s *Session[K, C]) armLocked(now time.Duration) {
	s.spared = false
	s.timer.ResetTo(s.deadline(now, s.idle.Load()))
}

// SetIdleTimeout gives the session an idle timeout of its own, counted from
// now. 0 means the pool's; negative means for ever. On a session that is
// closing it does nothing.
func (s *Session[K, C]) SetIdleTimeout(d time.Duration) {
	switch {
	case d == 0:
		d = s.pool.c.IdleTimeout
	case d < 0:
		d = never
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return
	}
	s.idle.Store(int64(d))
	s.armLocked(s.pool.wheel.Elapsed())
}

// Hold keeps the session from timing out until the returned func is called, as
// during a long request. Holds add up. The release counts as activity; calling
// it again does nothing. A held session can be closed all the same, and its
// lifetime goes on.
func (s *Session[K, C]) Hold() (release func()) {
	s.Pin()
	var once sync.Once
	return func() {
		once.Do(func() {
			s.Touch()
			s.Unpin()
		})
	}
}

// Pin is Hold for hot paths: no lock, no allocation, and each Pin must be
// matched by one [Session.Unpin].
func (s *Session[K, C]) Pin() { s.pins.Add(1) }

// Unpin ends a Pin. It is no activity in itself, but when the idle timeout has
// passed meanwhile, the session gets a whole one. Unpin panics without a Pin.
func (s *Session[K, C]) Unpin() {
	due, _ := s.timer.Due()
	if s.pins.Load()&lapsed != 0 || due <= s.pool.wheel.Elapsed() {
		s.Touch() // before the pin is gone, so that expire sees the one or the other
		s.pins.And(^lapsed)
	}
	if s.pins.Add(-1) < 0 {
		panic("pool: Session.Unpin without a Pin")
	}
}

// Reason is why the session was closed, and "" while it is open.
func (s *Session[K, C]) Reason() Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// Done returns a channel that is closed once the session is closed and
// OnSessionClosed has returned.
func (s *Session[K, C]) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.state == ended {
			close(s.done)
		}
	}
	return s.done
}
