package cluster

import (
	"context"
	"sync"
)

// idLocks holds a lock for each ID in use. A lock exists only while it is held or waited
// for, so an ID at rest takes no memory.
//
// Lock order: an ID's lock, then Node.mu, then idLocks.mu.
type idLocks struct {
	mu sync.Mutex
	// Guarded by mu.
	m map[string]*idLock
}

type idLock struct {
	held  chan struct{} // holds one value while the lock is held
	users int           // goroutines that hold it or wait for it; guarded by idLocks.mu
}

// lock locks an ID, waiting until ctx ends. The error is that of ctx.
func (l *idLocks) lock(ctx context.Context, id string) (unlock func(), err error) {
	k := l.acquireRef(id)
	select {
	case k.held <- struct{}{}:
		return func() {
			<-k.held
			l.releaseRef(id, k)
		}, nil
	case <-ctx.Done():
		l.releaseRef(id, k)
		return nil, ctx.Err()
	}
}

// acquireRef returns the lock of an ID, making it if necessary, and counts a user.
func (l *idLocks) acquireRef(id string) *idLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil {
		l.m = make(map[string]*idLock)
	}
	k := l.m[id]
	if k == nil {
		k = &idLock{held: make(chan struct{}, 1)}
		l.m[id] = k
	}
	k.users++
	return k
}

// releaseRef counts a user less, and removes the lock after the last one.
func (l *idLocks) releaseRef(id string, k *idLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.m, id)
	}
}
