package wheel

import (
	"cmp"
	"slices"
	"time"
)

// Stats is what a wheel has done and holds.
type Stats struct {
	Pending         int      // timers armed and not yet fired or stopped
	Slots           int      // slots in use, over all shards and levels
	Fired           uint64   // armings that ended in the callback
	Moved           uint64   // timers that went on to another slot when theirs came up
	Running         int      // goroutines running callbacks, at most Config.MaxCallbacks
	Waiting         int      // callbacks that are due and wait for a goroutine; beyond some 2,000, timers that are due stay pending
	Rescued         uint64   // times the watchdog found a slot that the library let lie
	LibraryDisabled bool     // the wheel stopped using the library after repeated rescues
	Late            Lateness // of the callbacks that have started
}

// Stats takes the figures shard by shard, so they need not add up while timers
// are armed and fire.
func (w *Wheel) Stats() Stats {
	st := Stats{Rescued: w.driver.rescued.Load(), LibraryDisabled: w.driver.gaveUp.Load()}
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		st.Pending += s.pending
		st.Slots += s.slots.used()
		st.Fired += s.fired
		st.Moved += s.moved
		s.mu.Unlock()
	}
	st.Running, st.Waiting = w.callbacks.counts()
	st.Late = w.callbacks.late.read()
	return st
}

// Slot is a slot of the hierarchy that timers lie in, over all shards. A level has
// 64 slots, and a slot of level l spans 64^l ticks. The shards' slots come up at
// different times within the span, so that they never do so all at once.
type Slot struct {
	Level  int           // from 0, the finest, to 7
	Index  int           // its place in the level, from 0 to 63
	Up     time.Duration // when the first shard's comes up, in terms of Wheel.Elapsed
	Span   time.Duration // what a shard's spans from when it comes up
	Timers int
}

// Slots tells of the slots in use, over all shards and ordered by when they come
// up: at most some 500, however many timers there are. Timers that never fire
// lie in none of them. As Stats, it goes from shard to shard.
func (w *Wheel) Slots() []Slot {
	type place struct {
		level int
		n     int64 // the slot's number, counted in spans from the wheel's beginning
	}
	found := make(map[place]Slot)
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		s.slots.each(func(level int, up int64, entries int) {
			up = s.wheelTick(up)
			shift := level * levelBits
			at := place{level, up >> shift}
			slot, ok := found[at]
			if first := time.Duration(up) * w.tick; !ok || first < slot.Up {
				slot.Up = first
			}
			slot.Timers += entries
			found[at] = slot
		})
		s.mu.Unlock()
	}
	all := make([]Slot, 0, len(found))
	for p, slot := range found {
		slot.Level = p.level
		slot.Index = int(p.n) & (levelSlots - 1)
		slot.Span = w.tick << (p.level * levelBits)
		all = append(all, slot)
	}
	slices.SortFunc(all, func(a, b Slot) int {
		return cmp.Or(cmp.Compare(a.Up, b.Up), cmp.Compare(a.Level, b.Level))
	})
	return all
}

// LastStall reports, in terms of [Wheel.Elapsed], the last time that something
// came up and the wheel ran more than 100ms late for it: when it had last run
// before, and when it ran again. So it shows a process that stood still
// (stopped, swapped out, migrated), starved of processors, or failed by the
// library. Stalls less than a second apart are reported as one. If there was
// none, both are 0.
func (w *Wheel) LastStall() (from, to time.Duration) {
	if s := w.driver.stall.Load(); s != nil {
		return s.from, s.to
	}
	return 0, 0
}
