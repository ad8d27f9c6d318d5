package pool

import (
	"io"
	"sync"
	"sync/atomic"
)

// shardCount is a power of two, large enough that two processors rarely meet.
const shardCount = 64

// shard is a part of the pool with a lock of its own, which is the lock of each
// session in it too. What Register and Close count is counted here, so that two
// processors rarely meet.
type shard[K comparable, C io.Closer] struct {
	// Immutable.
	pool  *Pool[K, C]
	group int // of the entries of its sessions

	mu sync.Mutex
	// Guarded by mu.
	sessions   table[K, C]
	registered uint64
	closed     map[Reason]*closedCount
	claims     map[K][]claim[K, C] // with a Directory: the sessions that have not ended
	peakClaims int                 // how many IDs claims was made for, or has grown to

	live   atomic.Int64 // sessions that have not ended, OnSessionClosed included; grows under mu
	idling atomic.Int64 // calls of OnIdle that have not returned; grows under mu

	// It is two cache lines in all, which are fetched in pairs. An object of that
	// size has an address to match, which an array of all shards would not have.
}

// shardOf returns the shard of an ID, and the hash that its table goes by.
func (p *Pool[K, C]) shardOf(id K) (*shard[K, C], uint32) {
	h := p.hash(id)
	return p.shards[h%shardCount], uint32(h>>32) | usedHash
}

// find returns the session with the given ID, and nil if there is none.
func (p *Pool[K, C]) find(id K) *Session[K, C] {
	sh, hash := p.shardOf(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.sessions.find(hash, id)
}

// insert puts s into the pool, if there is room, and arms its timer. It returns
// the session that it took the ID of, which is closed then and left to the caller
// to finish. All is decided under one lock, so that no session is born after
// Shutdown has passed this shard. reserved says that s has its place of
// MaxSessions already, and cl is what it was claimed under, if it was.
func (p *Pool[K, C]) insert(s *Session[K, C], cl claim[K, C], reserved bool) (old *Session[K, C], err error) {
	old, wake, err := s.shard.insert(s, cl, reserved)
	if wake {
		p.wheel.Wake()
	}
	return old, err
}

func (sh *shard[K, C]) insert(s *Session[K, C], cl claim[K, C], reserved bool) (old *Session[K, C], wake bool, err error) {
	p := sh.pool
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if p.closing.Load() {
		p.late.Add(1)
		return nil, false, ErrPoolClosed
	}
	old = sh.sessions.find(s.hash, s.id)
	switch {
	case old != nil && cl.s == nil && p.c.OnDuplicate == Reject:
		p.duplicates.Add(1)
		return nil, false, ErrDuplicateID
	case old != nil && p.replacing.Load() >= maxReplacing:
		p.full.Add(1)
		return nil, false, ErrFull
	case old == nil && !reserved && !p.tryReserve():
		p.full.Add(1)
		return nil, false, ErrFull
	case old != nil && !reserved && p.limited():
		p.reserved.Add(1) // until the old one has left its own
	}
	if old != nil {
		p.replacing.Add(1)
		old.closeLocked(Replaced)
	}
	sh.sessions.add(s)
	if p.limited() {
		p.sessions.Add(1)
	}
	if cl.s != nil {
		sh.claims[s.id] = append(sh.claims[s.id], cl)
		sh.peakClaims = max(sh.peakClaims, len(sh.claims))
	}
	sh.registered++
	sh.live.Add(1)
	return old, s.armLocked(s.registered), nil
}

// removeLocked takes s, which is closed, out of the pool, unless another session
// has its ID.
func (sh *shard[K, C]) removeLocked(s *Session[K, C]) {
	if sh.sessions.remove(s) && sh.pool.limited() {
		sh.pool.sessions.Add(-1)
		sh.pool.unreserve()
	}
}

// limited reports whether MaxSessions is a limit.
func (p *Pool[K, C]) limited() bool { return p.c.MaxSessions > 0 }

// tryReserve takes a place of MaxSessions, if there is one left.
func (p *Pool[K, C]) tryReserve() bool {
	if !p.limited() {
		return true
	}
	for {
		n := p.reserved.Load()
		if n >= int64(p.c.MaxSessions) {
			return false
		}
		if p.reserved.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (p *Pool[K, C]) unreserve() {
	if p.limited() {
		p.reserved.Add(-1)
	}
}
