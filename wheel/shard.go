package wheel

import (
	"sync"
	"time"
)

// shard is a part of the wheel with a lock of its own. An entry stays in the
// shard that Init gave it.
type shard struct {
	// Immutable.
	wheel *Wheel

	// phase is how many ticks the shard's slots are ahead of the wheel's ticks, so
	// that the coarse slots of two shards do not come up together.
	phase int64

	mu sync.Mutex
	// Guarded by mu.
	slots   slots
	pending int
	closed  bool
	fired   uint64
	moved   uint64
}

// placeLocked has e looked at when due comes or earlier, and reports whether the
// driver must be woken for it.
func (s *shard) placeLocked(e *Entry, now, due time.Duration) (wake bool) {
	tick := none
	switch {
	case due <= now:
		tick = atOnce
	default:
		tick = s.ceil(due)
	}
	if e.slot.Load() != 0 {
		if tick >= s.slots.up(e) { // its slot comes up in time
			return false
		}
		s.slots.remove(e)
		s.pending--
	}
	s.slots.settle(s.floor(now))
	up := s.slots.insert(e, tick)
	s.pending++
	return s.wheel.sleepsBeyond(s.wheelTick(up))
}

// removeLocked takes e out, if it is in.
func (s *shard) removeLocked(e *Entry) bool {
	if e.slot.Load() == 0 {
		return false
	}
	s.slots.remove(e)
	s.pending--
	return true
}

// take takes out what is due, and moves on the entries whose owners name a later
// time. It looks at no more than takeAtMost entries, to bound the time the lock is
// held. It reports whether there is more, and if not, at which of the wheel's ticks
// the next slot comes up.
func (s *shard) take(t *taken) (up int64, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.wheel.Elapsed() // after the lock: nothing here was armed later
	tick := s.floor(now)
	for t.looked < takeAtMost {
		some, once := s.slots.take(tick, t.entries[t.looked:t.looked:takeAtMost])
		if len(some) == 0 {
			return s.wheelTick(s.slots.next()), false
		}
		at := t.at[t.looked:][:len(some)]
		t.looked += len(some)
		// In a loop of its own, which waits for the memory of several owners at once.
		for i, e := range some {
			at[i] = e.owner.Expire(now)
		}
		for i, e := range some {
			if at[i] > now {
				s.slots.insert(e, s.ceil(at[i]))
				s.moved++
				continue
			}
			e.slot.Store(0)
			s.pending--
			s.fired++
			if once { // it was due when it was armed, so it is not late yet
				at[i] = now
			}
			t.add(e, at[i])
		}
	}
	return none, true
}

// overdue is when the first slot that has come up by now did so; ok is false if
// none has.
func (s *shard) overdue(now time.Duration) (up time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.wheelTick(s.slots.next())
	if next == none || next > int64(now/s.wheel.tick) {
		return 0, false
	}
	return time.Duration(next) * s.wheel.tick, true
}

// close ends every arming.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, e := range s.slots.heads {
		for e != nil {
			next := e.next
			e.next, e.prev = nil, nil
			e.slot.Store(0)
			if t, ok := e.owner.(*expiry); ok {
				t.deadline.Store(stopped)
			}
			e = next
		}
	}
	s.slots = slots{}
	s.pending = 0
}

// floor is the shard's last tick at or before a time; ceil the first at or after
// it.
func (s *shard) floor(at time.Duration) int64 { return int64(at/s.wheel.tick) + s.phase }

func (s *shard) ceil(at time.Duration) int64 {
	if at > Never-s.wheel.tick { // a tick that is no time.Duration any more
		return none
	}
	return int64((at-1)/s.wheel.tick) + 1 + s.phase
}

// wheelTick converts a tick of the shard's to one of the wheel's.
func (s *shard) wheelTick(tick int64) int64 {
	if tick == none {
		return none
	}
	return max(0, tick-s.phase)
}
