package cluster

import (
	"context"
	"sync"
)

// idLocks are a lock for each ID that is in use, made for the first who wants it
// and dropped by the last: IDs never wait for one another, and those at rest cost
// nothing.
//
// Lock order: an ID's lock, then Node.mu, then idLocks.mu.
type idLocks struct {
	mu sync.Mutex
	// Guarded by mu.
	m map[string]*idLock
}

type idLock struct {
	held  chan struct{} // holds one value while somebody has the lock
	users int           // who hold or want it; guarded by idLocks.mu
}

// lock waits for the lock of an ID. The error is that of ctx.
func (l *idLocks) lock(ctx context.Context, id string) (unlock func(), err error) {
	k := l.use(id)
	select {
	case k.held <- struct{}{}:
		return func() {
			<-k.held
			l.drop(id, k)
		}, nil
	case <-ctx.Done():
		l.drop(id, k)
		return nil, ctx.Err()
	}
}

func (l *idLocks) use(id string) *idLock {
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

func (l *idLocks) drop(id string, k *idLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.m, id)
	}
}
