package wheel

import (
	"sync"
	"time"
)

// shard is a part of the wheel with a lock of its own. A timer stays in the
// shard that Init gave it.
type shard struct {
	wheel *Wheel

	mu sync.Mutex
	// Guarded by mu.
	slots   slots
	pending int
	closed  bool
	fired   uint64
	moved   uint64
}

// arm makes t due at the given time, whatever its state, and reports whether it
// was pending.
func (s *shard) arm(t *Timer, now, due time.Duration) (was bool) {
	tick := s.wheel.ceil(due)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	was = t.deadline.Swap(int64(due)) > 0
	if !was {
		s.pending++
	}
	up := none
	// A timer whose slot comes up in time stays where it is.
	if t.slot == 0 || tick < s.slots.up(t) {
		s.slots.remove(t)
		s.slots.settle(s.wheel.floor(now))
		up = s.slots.insert(t, tick)
	}
	s.mu.Unlock()
	s.wheel.wakeBefore(up)
	return was
}

// fire ends t's arming and calls it at once, for a time that is past.
func (s *shard) fire(t *Timer, now, due time.Duration) (was bool) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	was = s.disarmLocked(t)
	t.deadline.Store(min(-1, -int64(due)))
	s.fired++
	s.mu.Unlock()
	s.wheel.callbacks.submit(firing{t.handler, now})
	return was
}

func (s *shard) stop(t *Timer) bool {
	s.mu.Lock()
	was := s.disarmLocked(t)
	s.mu.Unlock()
	return was
}

func (s *shard) disarmLocked(t *Timer) (was bool) {
	if t.deadline.Swap(0) <= 0 {
		return false
	}
	s.slots.remove(t)
	s.pending--
	return true
}

// take appends to due the callbacks of timers that are due, and moves on the
// timers that were extended. It looks at no more timers than due has room for,
// so that nobody waits long for the lock. It reports whether there is more, and
// if not, at which tick the next slot comes up.
func (s *shard) take(now time.Duration, due []firing) (_ []firing, up int64, more bool) {
	tick := s.wheel.floor(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	for range cap(due) {
		t := s.slots.take(tick)
		if t == nil {
			return due, s.slots.next(), false
		}
		if at, fires := s.expireLocked(t, now); fires {
			due = append(due, firing{t.handler, at})
		}
	}
	return due, none, true
}

// expireLocked decides whether t, just taken from its slot, fires, and tells when
// it was due. A timer that somebody extended, up to this very moment, goes to a
// later slot instead.
func (s *shard) expireLocked(t *Timer, now time.Duration) (due time.Duration, fires bool) {
	for {
		d := time.Duration(t.deadline.Load())
		if d > now {
			s.slots.insert(t, s.wheel.ceil(d))
			s.moved++
			return d, false
		}
		if t.deadline.CompareAndSwap(int64(d), -int64(d)) {
			s.pending--
			s.fired++
			return d, true
		}
	}
}

// close ends every arming. It holds the lock for a while; nobody needs it any
// more.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, t := range s.slots.heads {
		for t != nil {
			next := t.next
			t.deadline.Store(0)
			t.next, t.prev, t.slot = nil, nil, 0
			t = next
		}
	}
	s.slots = slots{}
	s.pending = 0
}
