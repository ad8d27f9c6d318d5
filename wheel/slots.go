package wheel

import (
	"math"
	"math/bits"
)

const (
	levelBits  = 6
	levelSlots = 1 << levelBits
	levels     = 8 // 2^48 ticks of a millisecond are more than the 292 years of a time.Duration
)

// neverSlot is the place of timers that are pending and have no time.
const neverSlot = levels * levelSlots

// slots is the hierarchy: eight levels of 64 slots, each slot a list of timers.
// A slot of level l spans 64^l ticks. A timer lies at the lowest level whose
// span, aligned, holds both now and its tick; so within a level the slots in
// use all lie ahead of now, and a lower level always comes up before a higher
// one. A slot above level 0 comes up at its first tick, and its timers are
// then placed again.
//
// It is plain data: it knows no clock, no lock and no goroutine. Its zero value
// is empty, at tick 0.
type slots struct {
	now      int64 // every slot that comes up at or before it has been opened
	open     int   // the slot that came up last; at first 0, which no timer ever lies in
	occupied [levels]uint64
	heads    [levels*levelSlots + 1]*Timer // a head's prev is the list's last; the last one's next is nil
	timers   [levels*levelSlots + 1]int    // how long each list is
}

// none is what next reports when no slot is in use.
const none = int64(math.MaxInt64)

// insert places t, which lies in no slot, to come up at or before tick, and
// reports when its slot comes up. A tick that is not ahead of now becomes the
// next one.
func (s *slots) insert(t *Timer, tick int64) (up int64) {
	if tick == none {
		s.push(t, neverSlot)
		return none
	}
	tick = max(tick, s.now+1)
	level := (bits.Len64(uint64(s.now^tick)) - 1) / levelBits
	shift := level * levelBits
	i := int(tick>>shift) & (levelSlots - 1)
	s.occupied[level] |= 1 << i
	s.push(t, level*levelSlots+i)
	return tick >> shift << shift
}

func (s *slots) push(t *Timer, slot int) {
	t.slot = int32(slot) + 1
	s.timers[slot]++
	head := s.heads[slot]
	if head == nil {
		s.heads[slot] = t
		t.prev = t
		return
	}
	t.prev = head.prev
	head.prev.next = t
	head.prev = t
}

// remove takes t out of its slot, if it lies in one.
func (s *slots) remove(t *Timer) {
	if t.slot == 0 {
		return
	}
	slot := int(t.slot) - 1
	s.timers[slot]--
	head := s.heads[slot]
	switch {
	case t != head:
		t.prev.next = t.next
		if t.next != nil {
			t.next.prev = t.prev
		} else {
			head.prev = t.prev
		}
	case t.next != nil:
		t.next.prev = t.prev
		s.heads[slot] = t.next
	default:
		s.heads[slot] = nil
		if slot != neverSlot {
			s.occupied[slot/levelSlots] &^= 1 << (slot % levelSlots)
		}
	}
	t.next, t.prev, t.slot = nil, nil, 0
}

// up reports when the slot of t, which lies in one, comes up.
func (s *slots) up(t *Timer) int64 {
	slot := int(t.slot) - 1
	if slot == neverSlot {
		return none
	}
	return s.start(slot/levelSlots, slot%levelSlots)
}

// start is the first tick of a slot in use: now's own bits above the level,
// the slot's index, and zeros.
func (s *slots) start(level, i int) int64 {
	shift := level * levelBits
	above := s.now >> (shift + levelBits) << (shift + levelBits)
	return above | int64(i)<<shift
}

// next reports the tick at which the next slot comes up; now, if the open slot
// still holds timers; none, if no slot is in use.
func (s *slots) next() int64 {
	if s.opened() {
		return s.now
	}
	tick, _ := s.upcoming()
	return tick
}

// opened reports whether the slot that came up last still holds timers from
// then. When now has moved on, its index may be in use again for a time ahead.
func (s *slots) opened() bool {
	return s.heads[s.open] != nil && s.start(s.open/levelSlots, s.open%levelSlots) <= s.now
}

// upcoming is the earliest slot in use, the open one aside.
func (s *slots) upcoming() (tick int64, slot int) {
	for level := range s.occupied {
		if o := s.occupied[level]; o != 0 {
			i := bits.TrailingZeros64(o)
			return s.start(level, i), level*levelSlots + i
		}
	}
	return none, 0
}

// take removes and returns one timer whose slot comes up at or before tick, and
// nil when there is no more; now has then reached tick. The caller looks at the
// timer's deadline and lets it fire or inserts it again.
func (s *slots) take(tick int64) *Timer {
	if !s.opened() {
		up, slot := s.upcoming()
		if up > tick {
			s.now = max(s.now, tick)
			return nil
		}
		s.now, s.open = up, slot
	}
	t := s.heads[s.open]
	s.remove(t)
	return t
}

// settle moves now on to tick if no slot comes up by then, so that what is
// inserted next is placed as finely as can be.
func (s *slots) settle(tick int64) {
	if tick > s.now && s.next() > tick {
		s.now = tick
	}
}

// used counts the slots in use.
func (s *slots) used() int {
	n := 0
	for _, o := range s.occupied {
		n += bits.OnesCount64(o)
	}
	return n
}

// each goes over the slots in use.
func (s *slots) each(f func(level int, up int64, timers int)) {
	for level, o := range s.occupied {
		for ; o != 0; o &= o - 1 {
			i := bits.TrailingZeros64(o)
			f(level, s.start(level, i), s.timers[level*levelSlots+i])
		}
	}
}
