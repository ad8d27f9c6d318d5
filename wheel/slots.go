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

// Beside the slots of the levels there are two lists.
const (
	neverSlot = levels * levelSlots // of entries that never come up
	onceSlot  = neverSlot + 1       // of entries that come up at once
	allSlots  = onceSlot + 1
)

// slots is the hierarchy: eight levels of 64 slots, each slot a list of entries.
// A slot of level l spans 64^l ticks. An entry lies at the lowest level whose
// span, aligned, holds both now and its tick; so within a level the slots in
// use all lie ahead of now, and a lower level always comes up before a higher
// one. A slot above level 0 comes up at its first tick, and its entries are
// then placed again.
//
// It is plain data: it knows no clock, no lock and no goroutine. Its zero value
// is empty, at tick 0.
type slots struct {
	now      int64 // every slot that comes up at or before it has been opened
	open     int   // the slot that came up last; at first 0, which no entry ever lies in
	occupied [levels]uint64
	heads    [allSlots]*Entry // a head's prev is the list's last; the last one's next is nil
	entries  [allSlots]int    // how long each list is
}

const (
	none   = int64(math.MaxInt64) // what next reports when no slot is in use
	atOnce = int64(math.MinInt64) // the tick of an entry that is not to wait for the next one
)

// insert places e, which lies in no slot, to come up at or before tick, and
// reports when its slot comes up. A tick that is not ahead of now becomes the
// next one, but for atOnce, which comes up now.
func (s *slots) insert(e *Entry, tick int64) (up int64) {
	switch tick {
	case none:
		s.push(e, neverSlot)
		return none
	case atOnce:
		s.push(e, onceSlot)
		return s.now
	}
	tick = max(tick, s.now+1)
	level := (bits.Len64(uint64(s.now^tick)) - 1) / levelBits
	shift := level * levelBits
	i := int(tick>>shift) & (levelSlots - 1)
	s.occupied[level] |= 1 << i
	s.push(e, level*levelSlots+i)
	return tick >> shift << shift
}

func (s *slots) push(e *Entry, slot int) {
	e.slot.Store(uint32(slot) + 1)
	s.entries[slot]++
	head := s.heads[slot]
	if head == nil {
		s.heads[slot] = e
		e.prev = e
		return
	}
	e.prev = head.prev
	head.prev.next = e
	head.prev = e
}

// remove takes e out of its slot, if it lies in one.
func (s *slots) remove(e *Entry) {
	if e.slot.Load() == 0 {
		return
	}
	slot := int(e.slot.Load()) - 1
	s.entries[slot]--
	head := s.heads[slot]
	switch {
	case e != head:
		e.prev.next = e.next
		if e.next != nil {
			e.next.prev = e.prev
		} else {
			head.prev = e.prev
		}
	case e.next != nil:
		e.next.prev = e.prev
		s.heads[slot] = e.next
	default:
		s.heads[slot] = nil
		s.vacate(slot)
	}
	e.next, e.prev = nil, nil
	e.slot.Store(0)
}

// up reports when the slot of e, which lies in one, comes up.
func (s *slots) up(e *Entry) int64 {
	slot := int(e.slot.Load()) - 1
	switch slot {
	case neverSlot:
		return none
	case onceSlot:
		return atOnce
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

// next reports the tick at which the next slot comes up; now, if the open slot or
// the one that comes up at once holds entries; none, if no slot is in use.
func (s *slots) next() int64 {
	if s.heads[onceSlot] != nil || s.opened() {
		return s.now
	}
	tick, _ := s.upcoming()
	return tick
}

// opened reports whether the slot that came up last still holds entries from
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

// take removes entries from the front of a slot that comes up at or before tick,
// as many as some has room for, and appends them to some. When there is nothing more
// it appends nothing, and now has then reached tick. once says that they lay in the
// list of those that come up at once. The caller asks for each entry's deadline, and
// inserts it again or lets it fire. Until then the entry's slot stays as it was, so
// that it does not look disarmed.
func (s *slots) take(tick int64, some []*Entry) (_ []*Entry, once bool) {
	slot := onceSlot
	if s.heads[onceSlot] == nil {
		if !s.opened() {
			up, next := s.upcoming()
			if up > tick {
				s.now = max(s.now, tick)
				return some, false
			}
			s.now, s.open = up, next
		}
		slot = s.open
	}
	return s.cut(slot, some), slot == onceSlot
}

// cut takes entries off a slot in use, to append as many to some as it has room for.
// It takes them off both ends: two ways through the list do not depend on each other,
// so the processor waits for the memory of two entries at once. Those that come up at
// once are taken in their order, since others may follow them without an end.
func (s *slots) cut(slot int, some []*Entry) []*Entry {
	n := min(s.entries[slot], cap(some)-len(some))
	first := s.heads[slot]
	last := first.prev
	pairs := n / 2
	if slot == onceSlot {
		pairs = 0
	}
	for range pairs {
		some = append(some, first, last)
		next, prev := first.next, last.prev
		first.next, first.prev, last.next, last.prev = nil, nil, nil, nil
		first, last = next, prev
	}
	for range n - 2*pairs {
		some = append(some, first)
		next := first.next
		first.next, first.prev = nil, nil
		first = next
	}
	if s.entries[slot] -= n; s.entries[slot] == 0 {
		s.heads[slot] = nil
		s.vacate(slot)
		return some
	}
	s.heads[slot], first.prev, last.next = first, last, nil
	return some
}

// vacate notes that a slot is empty.
func (s *slots) vacate(slot int) {
	if slot < neverSlot {
		s.occupied[slot/levelSlots] &^= 1 << (slot % levelSlots)
	}
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
func (s *slots) each(f func(level int, up int64, entries int)) {
	for level, o := range s.occupied {
		for ; o != 0; o &= o - 1 {
			i := bits.TrailingZeros64(o)
			f(level, s.start(level, i), s.entries[level*levelSlots+i])
		}
	}
}
