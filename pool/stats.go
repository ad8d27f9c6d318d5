package pool

import "sync"

// Stats holds the counts of a pool. All except Sessions, Closing and Parked never go down.
type Stats struct {
	Sessions   int    // sessions in the pool now
	Closing    int    // sessions that have left the pool and whose OnSessionClosed has not returned
	Parked     int    // sessions that wait without a goroutine; counted by package tcp, and 0 in a pool
	Registered uint64 // sessions that were registered
	Closed     uint64 // sessions whose close has begun

	// Registrations that were refused, by cause: ErrDuplicateID, ErrFull, ErrPoolClosed.
	RefusedDuplicate, RefusedFull, RefusedClosed uint64

	RefusedUnclaimed uint64 // registrations whose ID the Directory did not give

	// ByReason is Closed by reason. The pool counts its own reasons and the first 64
	// others one by one, and the rest as OtherReasons.
	ByReason map[Reason]uint64
}

// OtherReasons is the key in Stats.ByReason for the reasons that are not counted one by one.
const OtherReasons Reason = "(other)"

const maxReasons = 64

// Stats returns the pool's counts. It reads them shard by shard, so they need not add up
// while sessions are registered and closed, but Closed never exceeds Registered.
func (p *Pool[K, C]) Stats() Stats {
	st := Stats{
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
	st.Sessions += sh.sessions.n
	st.Closing += int(sh.live.Load()) - sh.sessions.n
	st.Registered += sh.registered
	for r, c := range sh.closed {
		st.ByReason[r] += c.n
		st.Closed += c.n
	}
}

// closedCount is how many sessions of a shard were closed for a reason.
type closedCount struct {
	n      uint64
	shared *detail // of those that have none of their own; nil: the reason is not counted apart
}

// countLocked counts a close, and returns the detail of a session that was closed
// for r and has none of its own.
func (sh *shard[K, C]) countLocked(r Reason) *detail {
	c := sh.closed[r]
	if c == nil {
		c = &closedCount{shared: sh.pool.reasons.lookup(r)}
		switch other := sh.closed[OtherReasons]; {
		case c.shared != nil:
			sh.closed[r] = c
		case other != nil:
			c = other
		default:
			sh.closed[OtherReasons] = c
		}
	}
	c.n++
	if c.shared == nil || c.shared.reason != r {
		return &detail{reason: r}
	}
	return c.shared
}

// reasons are those that a pool counts apart. They are the callers' own texts, so
// their number is bounded. A shard asks once for each that it has not seen.
type reasons struct {
	mu sync.Mutex
	// Guarded by mu.
	known map[Reason]*detail // what their sessions share
	own   int                // how many of them are the pool's own
}

func newReasons() *reasons {
	rs := &reasons{known: make(map[Reason]*detail)}
	for _, r := range []Reason{Timeout, Lifetime, Replaced, Shutdown, Closed} {
		rs.known[r] = &detail{reason: r}
	}
	rs.own = len(rs.known)
	return rs
}

// lookup returns what the sessions share that were closed for r, and nil if that
// is one reason too many.
func (rs *reasons) lookup(r Reason) *detail {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	d := rs.known[r]
	if d == nil && len(rs.known)-rs.own < maxReasons {
		d = &detail{reason: r}
		rs.known[r] = d
	}
	return d
}
