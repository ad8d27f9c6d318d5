package harness

import (
	"context"
	"sync"
)

// Directory gives an ID to every caller that asks for it, and evicts the owner
// before, as a cluster's directory does.
type Directory[K comparable] struct {
	Evict  func(id K, token uint64) // nil: no owner is evicted
	Before func()                   // called before an ID is given, if not nil
	Refuse error                    // what Claim returns, if not nil
	After  func(id K, token uint64) // called when an ID was given, and is still locked, if not nil

	mu sync.Mutex
	// Guarded by mu.
	Metas    []string       // what came with each claim
	Released map[uint64]int // how often each token was released
	locks    map[K]*sync.Mutex
	owners   map[K]uint64
	last     uint64
	claimed  int
}

// NewDirectory makes a directory without owners.
func NewDirectory[K comparable]() *Directory[K] {
	return &Directory[K]{locks: make(map[K]*sync.Mutex), owners: make(map[K]uint64), Released: make(map[uint64]int)}
}

// ContextKey is the key of a string in a claim's context, which is kept with the
// metas.
type ContextKey struct{}

// Claim gives the ID a new token. Claims of one ID follow one another.
func (d *Directory[K]) Claim(ctx context.Context, id K, meta []byte, activate func(uint64)) error {
	d.mu.Lock()
	if d.locks[id] == nil {
		d.locks[id] = new(sync.Mutex)
	}
	lock := d.locks[id]
	d.mu.Unlock()
	lock.Lock()
	defer lock.Unlock()

	d.mu.Lock()
	old := d.owners[id]
	d.last++
	token := d.last
	d.claimed++
	d.Metas = append(d.Metas, string(meta))
	if s, ok := ctx.Value(ContextKey{}).(string); ok {
		d.Metas = append(d.Metas, s)
	}
	d.mu.Unlock()
	if d.Before != nil {
		d.Before()
	}
	if d.Refuse != nil {
		return d.Refuse
	}
	if old != 0 && d.Evict != nil {
		d.Evict(id, old)
	}
	d.mu.Lock()
	d.owners[id] = token
	d.mu.Unlock()
	activate(token)
	if d.After != nil {
		d.After(id, token)
	}
	return nil
}

// Release frees the ID if the token still owns it.
func (d *Directory[K]) Release(id K, token uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Released[token]++
	if d.owners[id] == token {
		delete(d.owners, id)
	}
}

// State returns how many claims there were, and how many IDs are owned.
func (d *Directory[K]) State() (claimed, owned int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.claimed, len(d.owners)
}

// Releases returns how often a token was released.
func (d *Directory[K]) Releases(token uint64) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Released[token]
}
