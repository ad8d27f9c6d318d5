package wheel

import (
	"cmp"
	"slices"
	"time"
)

// Stats holds the counts of a wheel. Fired, Moved, Rescued and Late never go down.
type Stats struct {
	Pending         int      // timers that are armed
	Slots           int      // slots in use, in all shards and levels
	Fired           uint64   // armings that ended with the callback
	Moved           uint64   // how often a timer moved to another slot when the time of its slot came
	Running         int      // goroutines that run callbacks, at most Config.MaxCallbacks
	Waiting         int      // callbacks that are due and wait for a goroutine, see Config.MaxCallbacks
	Rescued         uint64   // how often the watchdog woke the wheel because the library did not
	LibraryDisabled bool     // the wheel stopped using the library after repeated rescues
	Late            Lateness // the lateness of all callbacks that have started
}

// Stats returns the wheel's counts. It reads them shard by shard, so they need not add up
// while timers are armed and fire.
func (w *Wheel) Stats() Stats {
	st := Stats{Rescued: w.driver.rescued.Load(), LibraryDisabled: w.driver.libraryDisabled.Load()}
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

// Slot describes a slot of the hierarchy that is in use, for all shards together. A level has
// 64 slots, and a slot of level l spans 64^l ticks. The slots of the shards are processed at
// different times within the span, so that they are never all due at once.
type Slot struct {
	Level  int           // from 0, the finest, to 7
	Index  int           // its position in the level, from 0 to 63
	Up     time.Duration // when the slot of the first shard is processed, in the wheel's time
	Span   time.Duration // the length of each shard's slot from the time when it is processed
	Timers int           // in all shards together
}

// Slots returns the slots in use, sorted by Up; slots of several shards with the same
// position count as one. There are at most about 500, however many timers there are.
// Timers that never fire are in no slot. Like Stats, Slots reads shard by shard.
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

// LastStall returns the last stall: a time in which the wheel should have run and did so
// more than 100ms late. from is when it had run before, and to when it ran again, in the
// wheel's time (see [Wheel.Elapsed]). The cause may be that the process was stopped, swapped
// out, migrated or starved of processors, or that the library did not wake the wheel. Stalls
// less than a second apart are reported as one. If there was none, both are 0.
func (w *Wheel) LastStall() (from, to time.Duration) {
	if s := w.driver.stall.Load(); s != nil {
		return s.from, s.to
	}
	return 0, 0
}
