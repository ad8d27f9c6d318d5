package pool

import "sync"

// Stats is what a pool has done and holds.
type Stats struct {
	Sessions   int    // in the pool now
	Registered uint64 // ever
	Closed     uint64 // ever; those whose close has begun

	// Registrations that were refused, by cause.
	RefusedDuplicate, RefusedFull, RefusedClosed uint64

	RefusedUnclaimed uint64 // the Directory did not give them their ID

	// ByReason is Closed by reason. A pool counts its own reasons apart and the
	// first 64 others; what is beyond them counts as OtherReasons.
	ByReason map[Reason]uint64
}

// OtherReasons stands in Stats.ByReason for the reasons beyond the first 64 others.
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

// reasons are those that a pool counts apart. They are the callers' own texts, so
// their number is bounded. A shard asks once for each that it has not seen.
type reasons struct {
	mu sync.Mutex
	// Guarded by mu.
	known map[Reason]struct{}
}

// counted is what r counts as.
func (rs *reasons) counted(r Reason) Reason {
	if _, own := endings[r]; own {
		return r
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if _, ok := rs.known[r]; !ok {
		if len(rs.known) >= maxReasons {
			return OtherReasons
		}
		rs.known[r] = struct{}{}
	}
	return r
}

// countLocked counts a close.
func (sh *shard[K, C]) countLocked(r Reason, rs *reasons) {
	if _, ok := sh.closed[r]; !ok {
		r = rs.counted(r)
	}
	sh.closed[r]++
}
