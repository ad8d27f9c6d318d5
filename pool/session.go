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
	// What Touch needs stands together, within one cache line.
	pool *Pool[K, C]

	// quiet is how long after the last activity OnIdle is due, or the timeout if
	// there is no OnIdle. While the timer is set for something else it is negative,
	// and the last activity is active. Whoever changes it holds mu. Touch extends
	// the timer without mu, and looks again at quiet: if that has changed
	// meanwhile, mu decides.
	quiet atomic.Int64

	// The timer, whose deadline is its first field, is pending while the session
	// is open, save for the moment between its firing and the decision of expire.
	timer wheel.Timer

	// Immutable.
	registered time.Duration // the wheel's time
	id         K
	conn       C

	mu sync.Mutex
	// Guarded by mu.
	active time.Duration // see quiet
	end    *ending       // nil while the session is open and nobody has asked for Done

	flags atomic.Uint32
	pins  atomic.Int32 // how many, and lapsed
}

// The flags of a session. The first five are set once.
const (
	closed  uint32 = 1 << iota // somebody has won the close; set under mu
	telling                    // OnNewSessionRegister has not returned; cleared then
	owing                      // the connection is closed, and OnSessionClosed is to follow
	ended                      // OnSessionClosed has returned
	awaited                    // end has a channel, to be closed by whoever of ended and awaited comes second
	warned                     // OnIdle was called since the last activity; changes under mu
	spared                     // the timer was set for a moment's grace; changes under mu
	own                        // it has an idle timeout of its own; changes under mu
)

// lapsed is set in pins when the timer fired while the session was pinned.
const lapsed int32 = 1 << 30

// ending is what a session needs to keep only when it ends or is waited for.
type ending struct {
	reason Reason
	done   chan struct{} // nil until somebody asks for it
}

// endings are shared by all the sessions that end for one of the common reasons
// and are not waited for. They never change.
var endings = map[Reason]*ending{
	Timeout: {reason: Timeout}, Lifetime: {reason: Lifetime}, Replaced: {reason: Replaced}, Shutdown: {reason: Shutdown},
}

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
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pool.wheel.Time(s.activeLocked())
}

// Deadline is when the session ends unless there is activity until then, with a
// monotonic reading: its idle timeout or the end of its lifetime, whichever
// comes first. It reports false if that is never, and if the session is closed;
// while it is held, only its lifetime counts. A deadline that has just passed
// may still be shown until the session is closed.
func (s *Session[K, C]) Deadline() (at time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due, _ := s.timer.Due()
	if !s.open() || due == 0 { // closed, or about to be armed
		return time.Time{}, false
	}
	switch {
	case s.pins.Load()&^lapsed != 0:
		due = never
	case s.pool.c.OnIdle != nil && s.flags.Load()&warned == 0:
		due += s.pool.c.warning(s.quietLocked())
	}
	if s.outlives(due) {
		due = s.lifeEnd()
	}
	if due >= never {
		return time.Time{}, false
	}
	return s.pool.wheel.Time(due), true
}

func (s *Session[K, C]) activeLocked() time.Duration {
	quiet := time.Duration(s.quiet.Load())
	if due, _ := s.timer.Due(); quiet > 0 && due > 0 {
		return due - quiet
	}
	return s.active
}

// Touch says that there was activity: the session does not time out for another
// idle timeout. It reports false if the session is closing already; the caller
// then drops what it read.
//
// Touch is one compare-and-swap. It takes a lock only where the timer is not
// there to be extended: when it has just fired, for the first Touch after OnIdle
// or SetIdleTimeout, and when less than an idle timeout is left of the lifetime.
// It allocates nothing.
func (s *Session[K, C]) Touch() bool {
	now := s.pool.wheel.Elapsed()
	quiet := s.quiet.Load()
	due := now + time.Duration(quiet)
	if quiet < 0 || s.outlives(due) || !s.timer.ExtendTo(due) || s.quiet.Load() != quiet {
		return s.touch(now)
	}
	return true
}

// outlives reports whether a time is past the session's lifetime.
func (s *Session[K, C]) outlives(due time.Duration) bool {
	return s.pool.c.MaxLifetime != 0 && due > s.lifeEnd()
}

// lifeEnd is when the session's lifetime is over.
func (s *Session[K, C]) lifeEnd() time.Duration {
	return s.registered + s.pool.c.MaxLifetime
}

// touch is Touch under the lock.
func (s *Session[K, C]) touch(now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open() {
		return false
	}
	s.touchLocked(max(now, s.activeLocked())) // a later Touch may have been quicker
	return true
}

// touchLocked arms the timer of an open session that is active now.
func (s *Session[K, C]) touchLocked(now time.Duration) {
	s.flags.And(^(warned | spared))
	quiet := s.quietLocked()
	if due := now + quiet; !s.outlives(due) {
		s.timer.ResetTo(now, due)
		s.quiet.Store(int64(quiet))
		return
	}
	s.active = now
	s.quiet.Store(-int64(quiet))
	s.timer.ResetTo(now, s.lifeEnd())
}

// armLocked arms the timer of an open session for a time that says nothing of
// its last activity, or the end of its lifetime.
func (s *Session[K, C]) armLocked(now, due time.Duration) {
	if s.outlives(due) {
		due = s.lifeEnd()
	}
	s.settleLocked()
	s.timer.ResetTo(now, due)
}

// settleLocked makes the last activity known apart from the timer's deadline. A
// Touch that has not been decided yet then waits for mu.
func (s *Session[K, C]) settleLocked() {
	if quiet := s.quiet.Load(); quiet > 0 {
		s.quiet.Store(-quiet)
		if due, _ := s.timer.Due(); due > 0 {
			s.active = due - time.Duration(quiet)
		}
	}
}

func (s *Session[K, C]) quietLocked() time.Duration {
	quiet := time.Duration(s.quiet.Load())
	return max(quiet, -quiet)
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
	}
	for {
		old := s.pins.Load()
		left := old - 1
		switch old &^ lapsed {
		case 0:
			panic("pool: Session.Unpin without a Pin")
		case 1:
			left = 0 // and not lapsed any more
		}
		if s.pins.CompareAndSwap(old, left) {
			return
		}
	}
}

// open reports whether nobody has closed the session yet. The answer holds while
// the caller holds mu.
func (s *Session[K, C]) open() bool { return s.flags.Load()&closed == 0 }

// Reason is why the session was closed, and "" while it is open.
func (s *Session[K, C]) Reason() Reason {
	if s.open() {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end.reason
}

// Done returns a channel that is closed once the session is closed and
// OnSessionClosed has returned.
func (s *Session[K, C]) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil || s.end.done == nil {
		e := &ending{done: make(chan struct{})}
		if s.end != nil {
			e.reason = s.end.reason
		}
		s.end = e
		if s.flags.Or(awaited)&ended != 0 {
			close(e.done)
		}
	}
	return s.end.done
}
