package pool

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// Session is a connection in a pool, with an ID. [Pool.Register] makes one. All its methods
// may be called from any goroutine, callbacks included, and also after it was closed.
type Session[K comparable, C io.Closer] struct {
	// The state of a session consists of two words:
	//
	//	active   >= 0  open: the last activity, which Touch moves later
	//	         <  0  closed: the complement of it, which stays
	//	state          the flags below, and how many have pinned the session
	//
	// These are all their transitions:
	//
	//	active: later    Touch, by compare-and-swap, lock-free; Renew, under the shard's mu
	//	active: negative a close, by compare-and-swap, under the shard's mu:
	//	                 Close, Register that replaces, Shutdown, and expire, which
	//	                 gives up if there was a Touch in between
	//	registering      set by Register; cleared when OnNewSessionRegister has returned
	//	closePending     set when the connection is closed; whichever of this and
	//	                 clearing registering comes second calls OnSessionClosed
	//	ended            set when OnSessionClosed has returned
	//	doneRequested    set by Done; whichever of this and ended comes second closes
	//	                 the channel
	//	expiredPinned    set when the session expired while it was pinned; cleared
	//	                 with the last pin, which then counts as activity or, in
	//	                 UnpinAndExpire, expires it
	//
	// The deadline is not stored: idleAt computes it from active. The wheel processes the
	// session's slot at that time or before.

	shard  *shard[K, C] // immutable
	active atomic.Int64 // the wheel's time
	entry  wheel.Entry
	state  atomic.Uint32
	hash   uint32 // immutable
	detail atomic.Pointer[detail]

	// Immutable.
	registered time.Duration // the wheel's time
	id         K
	conn       C
}

// What state holds.
const (
	registering uint32 = 1 << iota
	closePending
	ended
	doneRequested
	expiredPinned

	onePin = 1 << 8 // and above it, how many pins there are
)

// ID returns the ID that the session was registered with.
func (s *Session[K, C]) ID() K { return s.id }

// Conn returns the connection that the session was registered with.
func (s *Session[K, C]) Conn() C { return s.conn }

// RegisteredAt returns the time at which the session was registered, with a monotonic
// clock reading.
func (s *Session[K, C]) RegisteredAt() time.Time {
	return s.shard.pool.wheel.Time(s.registered)
}

// LastActive returns the time at which the session was registered or last touched, with a
// monotonic clock reading.
func (s *Session[K, C]) LastActive() time.Time {
	active := s.active.Load()
	return s.shard.pool.wheel.Time(time.Duration(max(active, ^active)))
}

// Touch records activity: the session does not time out for another idle timeout. It
// reports false if the session is closed; the caller should then drop what it has read.
//
// Touch is one compare-and-swap. It takes no lock and does not allocate.
func (s *Session[K, C]) Touch() bool {
	now := int64(s.shard.pool.wheel.Elapsed())
	preempt.At("touch: the clock is read")
	for {
		active := s.active.Load()
		preempt.At("touch: the last activity is read")
		switch {
		case active < 0: // closed
			return false
		case now <= active: // another Touch was later
			return true
		case s.active.CompareAndSwap(active, now):
			return true
		}
	}
}

// Hold keeps the session from timing out until release is called, for example during a
// long request. If Hold is called several times, the session is held until each release
// has been called. The first call of release counts as activity; further calls do nothing.
// A held session can still be closed, and still ends with its lifetime.
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

// Pin is Hold for hot paths: it takes no lock and does not allocate. Each Pin must be
// matched by one [Session.Unpin].
func (s *Session[K, C]) Pin() { s.state.Add(onePin) }

// Unpin ends a Pin. It does not count as activity. But if the idle timeout, or the time for
// OnIdle, has passed while the session was pinned, that is activity, and the session gets a
// full idle timeout from now. Unpin panics without a Pin.
func (s *Session[K, C]) Unpin() {
	if due, open := s.idleDue(); open && due <= s.shard.pool.wheel.Elapsed() {
		s.Touch() // before the pin is gone, so that expire sees one or the other
	}
	preempt.At("unpin: the idle timeout is looked at")
	for {
		old := s.state.Load()
		preempt.At("unpin: the pins are read")
		if old&expiredPinned != 0 {
			s.Touch()
		}
		if s.state.CompareAndSwap(old, unpinned(old)) {
			return
		}
	}
}

// UnpinAndExpire ends a Pin as Unpin does, but gives the session no more time: if the idle
// timeout has passed since its last activity, and this was the last pin, the session is
// closed with Timeout before UnpinAndExpire returns, as by Close, or OnIdle is called on the
// same goroutine. It is for work that must not keep an idle session open, however often it
// pins the session.
func (s *Session[K, C]) UnpinAndExpire() {
	for {
		old := s.state.Load()
		preempt.At("unpin: the pins are read")
		left := unpinned(old)
		if !s.state.CompareAndSwap(old, left) {
			continue
		}
		// Only if the wheel has found it overdue: the wheel knows of a freeze, and will
		// find it if it has not yet.
		if left < onePin && old&expiredPinned != 0 {
			s.expire()
		}
		return
	}
}

// unpinned is a state with one pin less. It panics if there is none.
func unpinned(state uint32) (left uint32) {
	if state < onePin {
		panic("pool: a session is unpinned that was not pinned")
	}
	if left = state - onePin; left < onePin {
		left &^= expiredPinned
	}
	return left
}

// pinned reports whether the session must not time out. It then notes that it was
// to, for the last Unpin.
func (s *Session[K, C]) pinned() bool {
	for {
		old := s.state.Load()
		if old < onePin {
			return false
		}
		preempt.At("pinned: the pins are read")
		if s.state.CompareAndSwap(old, old|expiredPinned) {
			return true
		}
	}
}

// open reports whether the session is not closed yet. The answer "yes" holds
// while the caller holds the shard's mu.
func (s *Session[K, C]) open() bool { return s.active.Load() >= 0 }
