package pool

import (
	"context"
	"hash/maphash"
	"io"
	"iter"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// shardCount is a power of two, large enough that two processors rarely meet.
const shardCount = 64

// Pool keeps sessions by their ID. It is made by [New] and ends with
// [Pool.Shutdown]. All its methods may be called from any goroutine, and all but
// Shutdown from callbacks.
type Pool[K comparable, C io.Closer] struct {
	// Immutable.
	c        Config[K, C]
	wheel    *wheel.Wheel
	ownWheel bool
	log      *slog.Logger // nil: silent
	nilable  bool         // a C can be nil
	seed     maphash.Seed
	drained  chan struct{} // closed when the last session has ended after Shutdown

	shards [shardCount]shard[K, C]

	closing atomic.Bool  // no session is born in a shard that is locked after it is set
	passed  atomic.Bool  // Shutdown has been through all shards since
	drain   sync.Once    // closes drained
	places  atomic.Int64 // taken of MaxSessions, if there is a limit
	idle    atomic.Int64 // the idle timeout

	reasons reasons

	duplicates, full, late, unclaimed atomic.Uint64
}

// shard is a part of the pool with a lock of its own. What Register and Close
// count is counted here, so that two processors rarely meet.
type shard[K comparable, C io.Closer] struct {
	mu sync.Mutex
	// Guarded by mu.
	m          map[K]*Session[K, C]
	registered uint64
	closed     map[Reason]uint64
	claims     map[K][]claim[K, C] // with a Directory: the sessions that have not ended

	live atomic.Int64 // sessions not ended, OnSessionClosed included; grows under mu

	_ [16]byte // up to a whole cache line
}

// New makes a pool. The error names the field of the Config that is wrong.
func New[K comparable, C io.Closer](c Config[K, C]) (*Pool[K, C], error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Pool[K, C]{
		c:       c,
		wheel:   c.Wheel,
		log:     LimitLog(c.Logger),
		seed:    maphash.MakeSeed(),
		drained: make(chan struct{}),
		reasons: reasons{known: make(map[Reason]struct{})},
	}
	p.idle.Store(int64(c.IdleTimeout))
	switch reflect.TypeFor[C]().Kind() {
	case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice:
		p.nilable = true
	}
	if p.wheel == nil {
		if p.wheel, err = wheel.New(wheel.Config{}); err != nil {
			return nil, err
		}
		p.ownWheel = true
	}
	for i := range p.shards {
		p.shards[i].m = make(map[K]*Session[K, C])
		p.shards[i].closed = make(map[Reason]uint64)
		if c.Directory != nil {
			p.shards[i].claims = make(map[K][]claim[K, C])
		}
	}
	return p, nil
}

func (p *Pool[K, C]) shard(id K) *shard[K, C] {
	return &p.shards[maphash.Comparable(p.seed, id)%shardCount]
}

// Register puts a session with the given ID and connection into the pool and
// calls OnNewSessionRegister before it returns. The session's idle timeout and
// lifetime begin. It may be closed already when Register returns.
//
// The error is one of ErrNilConn, ErrBadID, ErrDuplicateID, ErrFull and
// ErrPoolClosed; then nothing was registered, no callback is called, and the connection is
// still the caller's to close. With Replace, the old session is out of the pool
// and has its reason when Register returns; its connection is closed
// meanwhile, on another goroutine. It makes room for the new one even when the
// pool is full.
func (p *Pool[K, C]) Register(id K, conn C) (*Session[K, C], error) {
	return p.RegisterContext(context.Background(), id, conn, nil)
}

// check refuses what can never be registered.
func (p *Pool[K, C]) check(id K, conn C) error {
	if p.nilable && isNil(conn) {
		return ErrNilConn
	}
	if id != id {
		return ErrBadID
	}
	return nil
}

func (p *Pool[K, C]) newSession(id K, conn C) *Session[K, C] {
	now := p.wheel.Elapsed()
	s := &Session[K, C]{
		pool: p, id: id, conn: conn, registered: now, active: now,
	}
	if p.c.OnNewSessionRegister != nil {
		s.flags.Store(telling)
	}
	s.quiet.Store(int64(p.quiet()))
	s.timer.InitHandler(p.wheel, (*expiry[K, C])(s))
	return s
}

// begin puts s into the pool and lets its time begin, all of it without
// blocking. cl is what it was claimed under, if it was; placed says that its
// place is taken already.
func (p *Pool[K, C]) begin(s *Session[K, C], cl claim[K, C], placed bool) error {
	old, err := p.insert(s, cl, placed)
	if err != nil {
		return err
	}
	if old != nil {
		p.replace(old)
	}
	s.start(s.registered)
	return nil
}

// start arms the timer, unless somebody who found s in the pool has closed it, or
// armed it already. SetIdleTimeout may have been through the pool before s was in
// it.
func (s *Session[K, C]) start(now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open() {
		return
	}
	if due, _ := s.timer.Due(); due == 0 {
		s.touchLocked(now)
	}
	s.followLocked()
}

// isNil is called for kinds of C that can be nil, which reflect looks at without
// an allocation.
func isNil[C any](conn C) bool {
	v := reflect.ValueOf(conn)
	if !v.IsValid() { // a nil interface
		return true
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice:
		return v.IsNil()
	default:
		return false
	}
}

// insert puts s into the map, if there is room, and returns the session that it
// took the ID of. All is decided under one lock, so that no session is born
// after Shutdown has passed this shard.
func (p *Pool[K, C]) insert(s *Session[K, C], cl claim[K, C], placed bool) (old *Session[K, C], err error) {
	sh := p.shard(s.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if p.closing.Load() {
		p.late.Add(1)
		return nil, ErrPoolClosed
	}
	old = sh.m[s.id]
	switch {
	case old != nil && cl.s == nil && p.c.OnDuplicate == Reject:
		p.duplicates.Add(1)
		return nil, ErrDuplicateID
	case old != nil && placed: // it leaves its own place
		p.leavePlace()
	case old == nil && !placed && !p.takePlace():
		p.full.Add(1)
		return nil, ErrFull
	}
	sh.m[s.id] = s
	if cl.s != nil {
		sh.claims[s.id] = append(sh.claims[s.id], cl)
	}
	sh.registered++
	sh.live.Add(1)
	return old, nil
}

// takePlace reports whether there may be one more session.
func (p *Pool[K, C]) takePlace() bool {
	limit := int64(p.c.MaxSessions)
	if limit == 0 {
		return true
	}
	for {
		n := p.places.Load()
		if n >= limit {
			return false
		}
		if p.places.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (p *Pool[K, C]) leavePlace() {
	if p.c.MaxSessions != 0 {
		p.places.Add(-1)
	}
}

// replace closes a session that is out of the map already. Its connection may
// block, so it is closed on a goroutine of its own, which Shutdown waits for as
// for every session that has not ended.
func (p *Pool[K, C]) replace(old *Session[K, C]) {
	if old.win(Replaced) {
		go old.finish(Replaced)
	}
}

// remove takes s out of the map, unless another session has its ID, and counts
// why.
func (p *Pool[K, C]) remove(s *Session[K, C], r Reason) {
	sh := p.shard(s.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.m[s.id] == s {
		delete(sh.m, s.id)
		p.leavePlace()
	}
	sh.countLocked(r, &p.reasons)
}

// ended counts a session whose OnSessionClosed has returned.
func (p *Pool[K, C]) ended(s *Session[K, C]) {
	if p.c.Directory != nil {
		p.release(s)
	}
	if p.shard(s.id).live.Add(-1) == 0 && p.passed.Load() {
		p.checkDrained()
	}
}

// Get finds the session with the given ID.
func (p *Pool[K, C]) Get(id K) (*Session[K, C], bool) {
	sh := p.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s, ok := sh.m[id]
	return s, ok
}

// Len is the number of sessions in the pool; it never exceeds MaxSessions.
// Without a limit it is the sum of 64 shards, looked at one after the other, and
// exact when no session comes or goes meanwhile.
func (p *Pool[K, C]) Len() int {
	if p.c.MaxSessions != 0 {
		return int(p.places.Load())
	}
	n := 0
	for i := range p.shards {
		sh := &p.shards[i]
		sh.mu.Lock()
		n += len(sh.m)
		sh.mu.Unlock()
	}
	return n
}

// All goes over the sessions in no order. It is weakly consistent: a session
// that is in the pool throughout is seen once, one that comes or goes meanwhile
// may or may not be. No lock is held while the loop's body runs, which may do
// anything, closing sessions included. It copies a sixty-fourth of the sessions
// at a time.
func (p *Pool[K, C]) All() iter.Seq2[K, *Session[K, C]] {
	return func(yield func(K, *Session[K, C]) bool) {
		var some []*Session[K, C]
		for i := range p.shards {
			some = p.shards[i].appendTo(some[:0])
			for _, s := range some {
				if !yield(s.id, s) {
					return
				}
			}
		}
	}
}

func (sh *shard[K, C]) appendTo(some []*Session[K, C]) []*Session[K, C] {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, s := range sh.m {
		some = append(some, s)
	}
	return some
}

// CloseSession closes the session with the given ID, as [Session.Close] does.
// It reports false if there is none, or somebody else has closed it.
func (p *Pool[K, C]) CloseSession(id K, reason Reason) bool {
	s, ok := p.Get(id)
	return ok && s.Close(reason)
}
