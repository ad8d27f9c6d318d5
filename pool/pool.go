package pool

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"iter"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// Pool holds sessions by their ID. Make one with [New] and end it with [Pool.Shutdown]. All
// its methods may be called from any goroutine, and all except Shutdown from callbacks.
type Pool[K comparable, C io.Closer] struct {
	// Immutable.
	c        Config[K, C]
	wheel    *wheel.Wheel
	ownWheel bool
	log      *slog.Logger // nil: silent
	nilable  bool         // a C can be nil
	seed     maphash.Seed
	drained  chan struct{} // closed when the last session has ended after Shutdown

	shards  [shardCount]*shard[K, C]
	reasons *reasons
	recent  *recent[K]

	closing atomic.Bool // no session is born in a shard that is locked after it is set
	passed  atomic.Bool // Shutdown has been through all shards since
	sweep   sync.Once   // starts closeAll
	drain   sync.Once   // closes drained

	reserved  atomic.Int64 // places of MaxSessions, if that is a limit
	sessions  atomic.Int64 // in the pool, if MaxSessions is a limit
	replacing atomic.Int64 // sessions that Register has closed and that have not ended
	idle      atomic.Int64 // the idle timeout

	duplicates, full, late, unclaimed atomic.Uint64
}

// New returns a pool. If a field of the Config is invalid, it returns an error that names
// it.
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
		reasons: newReasons(),
		recent:  newRecent[K](),
	}
	p.idle.Store(int64(c.IdleTimeout))
	switch reflect.TypeFor[C]().Kind() {
	case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice:
		p.nilable = true
	}
	if p.wheel != nil && p.wheel.Closed() {
		return nil, errors.New("pool: Config.Wheel is closed: no session would time out")
	}
	if p.wheel == nil {
		if p.wheel, err = wheel.New(wheel.Config{}); err != nil {
			return nil, err
		}
		p.ownWheel = true
	}
	for i := range p.shards {
		p.shards[i] = &shard[K, C]{pool: p, group: i, closed: make(map[Reason]*closedCount)}
		if c.Directory != nil {
			p.shards[i].claims = make(map[K][]claim[K, C])
		}
	}
	return p, nil
}

func (p *Pool[K, C]) hash(id K) uint64 { return maphash.Comparable(p.seed, id) }

// Register adds a session with the given ID and connection to the pool, starts its idle
// timeout and lifetime, and calls OnNewSessionRegister before it returns. The session may
// be closed already when Register returns.
//
// The error is ErrNilConn, ErrBadID, ErrDuplicateID, ErrFull or ErrPoolClosed. Nothing was
// registered then, no callback is called, and the caller still has to close the
// connection.
//
// With Replace, an earlier session with the ID has left the pool and has its reason when
// Register returns. Its connection is closed on another goroutine, for which Register does
// not wait. The new session takes its place even if the pool is full.
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
	sh, hash := p.shardOf(id)
	s := &Session[K, C]{shard: sh, hash: hash, registered: p.wheel.Elapsed(), id: id, conn: conn}
	s.active.Store(int64(s.registered))
	s.state.Store(registering)
	p.wheel.InitSettler(&s.entry, (*expiry[K, C])(s), sh.group)
	return s
}

// begin puts s into the pool, and its time begins, all of it without blocking. cl
// is what it was claimed under, if it was; reserved says that its place is taken
// already. The connection of a session that it replaces may block in its Close, so
// it is closed on a goroutine of its own, which Shutdown waits for as for every
// session that has not ended.
func (p *Pool[K, C]) begin(s *Session[K, C], cl claim[K, C], reserved bool) error {
	old, err := p.insert(s, cl, reserved)
	if old != nil {
		go func() {
			defer p.replacing.Add(-1)
			old.finish()
		}()
	}
	return err
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

// sessionEnded counts a session whose OnSessionClosed has returned.
func (p *Pool[K, C]) sessionEnded(s *Session[K, C]) {
	defer func() { // also when the Directory panics
		if s.shard.live.Add(-1) == 0 && p.passed.Load() {
			p.checkDrained()
		}
	}()
	if p.c.Directory != nil {
		defer p.guard()
		p.release(s)
	}
}

// Get returns the session with the given ID, and reports whether there is one. The session
// may be closed by the time Get returns.
func (p *Pool[K, C]) Get(id K) (*Session[K, C], bool) {
	s := p.find(id)
	return s, s != nil
}

// Len returns the number of sessions in the pool. It never exceeds MaxSessions. Without a
// limit it adds up 64 shards, and is exact if no session is registered or closed during
// the call.
func (p *Pool[K, C]) Len() int {
	if p.limited() {
		return int(p.sessions.Load())
	}
	n := 0
	for i := range p.shards {
		n += p.shards[i].len()
	}
	return n
}

func (sh *shard[K, C]) len() int {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.sessions.n
}

// All returns an iterator over the sessions, in no particular order. It is weakly
// consistent: a session that is in the pool during the whole iteration is visited once;
// one that is registered or closed during it may or may not be visited. No lock is held
// while the loop body runs, so it may close sessions. The iterator copies a sixty-fourth of
// the sessions at a time.
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
	return sh.sessions.appendTo(some, sh.sessions.n)
}

// CloseSession closes the session with the given ID, as [Session.Close] does, and reports
// whether this call closed it.
func (p *Pool[K, C]) CloseSession(id K, reason Reason) bool {
	s, ok := p.Get(id)
	return ok && s.Close(reason)
}
