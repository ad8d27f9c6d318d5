package wheel

import "time"

// Stats is what a wheel has done and holds.
type Stats struct {
	Pending int    // timers armed and not yet fired or stopped
	Slots   int    // slots in use, over all shards and levels
	Fired   uint64 // armings that ended in the callback
	Moved   uint64 // timers that went on to another slot when theirs came up
	Running int    // goroutines running callbacks, at most Config.MaxCallbacks
	Waiting int    // callbacks that are due and wait for a goroutine; beyond some 2,000, timers that are due stay pending
	Rescued uint64 // times the watchdog found a slot that the library let lie
	Alone   bool   // the library was given up after repeated rescues
}

// Stats takes the figures shard by shard, so they need not add up while timers
// are armed and fire.
func (w *Wheel) Stats() Stats {
	st := Stats{Rescued: w.driver.rescued.Load(), Alone: w.driver.gaveUp.Load()}
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
	return st
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
