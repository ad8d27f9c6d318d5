package pool

// Stats is what a pool has done and holds.
type Stats struct {
	Sessions   int    // in the pool now
	Registered uint64 // ever
	Closed     uint64 // ever; those whose close has begun

	// Registrations that were refused, by cause.
	RefusedDuplicate, RefusedFull, RefusedClosed uint64

	RefusedUnclaimed uint64 // the Directory did not give them their ID

	// ByReason is Closed by reason. A pool counts 64 reasons apart in each of
	// its shards; what is beyond them counts as OtherReasons.
	ByReason map[Reason]uint64
}

// OtherReasons stands in Stats.ByReason for the reasons beyond the first 64.
const OtherReasons Reason = "(other)"

const maxReasons = 64

// Stats takes the figures shard by shard, so they need not add up while
// sessions come and go. A session is in one shard for good, so Closed never
// exceeds Registered.
func (p *Pool[K, C]) Stats() Stats {
	st := Stats{
		Sessions:         p.Len(),
		RefusedDuplicate: p.duplicates.Load(),
		RefusedFull:      p.full.Load(),
		RefusedClosed:    p.late.Load(),
		RefusedUnclaimed: p.unclaimed.Load(),
		ByReason:         make(map[Reason]uint64),
	}
	for i := range p.shards {
		p.shards[i].addTo(&st)
	}
	return st
}

func (sh *shard[K, C]) addTo(st *Stats) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st.Registered += sh.registered
	for r, n := range sh.closed {
		st.ByReason[r] += n
		st.Closed += n
	}
}

// countLocked counts a close. The reasons are the callers' own texts, so their
// number is bounded.
func (sh *shard[K, C]) countLocked(r Reason) {
	if _, ok := sh.closed[r]; !ok && len(sh.closed) >= maxReasons {
		r = OtherReasons
	}
	sh.closed[r]++
}
