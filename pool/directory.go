package pool

import (
	"context"
	"io"
	"maps"
)

// Directory decides which of several pools owns an ID, for example those of the nodes of a
// cluster. A later session takes over the ID, wherever the earlier one is.
type Directory[K comparable] interface {
	// Claim makes this pool the owner of id, and stores meta for others to read. If it
	// succeeds, it calls activate exactly once before it returns nil, while id is
	// locked against other claims and evictions. If it returns an error, it has not
	// called activate. activate does not block. The token identifies this ownership
	// among all that the ID ever has.
	Claim(ctx context.Context, id K, meta []byte, activate func(token uint64)) error

	// Release ends an ownership. It must not block, and does nothing if the ID is owned
	// under another token by now. The pool calls it once for each activate, after the
	// session's OnSessionClosed has returned, or if no session was registered.
	Release(id K, token uint64)
}

// claim is a session that was registered under a token and has not ended.
type claim[K comparable, C io.Closer] struct {
	token uint64
	s     *Session[K, C]
}

// RegisterContext is like [Pool.Register] for a pool with a Directory: ctx limits the time
// to claim the ID, and meta is stored in the Directory for other nodes. Without a Directory
// both are ignored.
//
// With a Directory, an earlier session with the ID is closed first, in whichever pool it
// is and whatever Config.OnDuplicate says. The error may also be that of Claim. If the pool
// is full or closed, the ID is not claimed, so no other session loses it.
func (p *Pool[K, C]) RegisterContext(ctx context.Context, id K, conn C, meta []byte) (*Session[K, C], error) {
	if err := p.check(id, conn); err != nil {
		return nil, err
	}
	s, err := p.register(ctx, id, conn, meta)
	if err != nil {
		p.logRefused(id, conn, err)
		return nil, err
	}
	s.notifyRegistered()
	return s, nil
}

func (p *Pool[K, C]) register(ctx context.Context, id K, conn C, meta []byte) (*Session[K, C], error) {
	if p.c.Directory != nil {
		return p.claim(ctx, id, conn, meta)
	}
	s := p.newSession(id, conn)
	return s, p.begin(s, claim[K, C]{}, false)
}

// claim registers a session when the Directory has given it its ID. The place of
// a pool that may become full is reserved before, so that no other session loses
// the ID for nothing.
func (p *Pool[K, C]) claim(ctx context.Context, id K, conn C, meta []byte) (s *Session[K, C], err error) {
	if p.closing.Load() {
		p.late.Add(1)
		return nil, ErrPoolClosed
	}
	reserved := p.tryReserve()
	if !reserved && p.find(id) == nil { // one that is here makes room
		p.full.Add(1)
		return nil, ErrFull
	}
	returned := false
	defer func() {
		switch {
		case s == nil && reserved: // also when the Directory panics
			p.unreserve()
		case s != nil && !returned: // it panicked after activate: the session goes on
			s.registerReturned()
		}
	}()
	var born *Session[K, C]
	var token uint64
	var refused error
	err = p.c.Directory.Claim(ctx, id, meta, func(t uint64) {
		if born != nil {
			panic("pool: Directory.Claim called activate twice")
		}
		born, token = p.newSession(id, conn), t
		if refused = p.begin(born, claim[K, C]{t, born}, reserved); refused == nil {
			s = born
		}
	})
	returned = true
	switch {
	case s != nil:
		return s, nil
	case born != nil:
		p.c.Directory.Release(id, token)
		return nil, refused
	case err == nil:
		err = errNotActivated
	}
	p.unclaimed.Add(1)
	return nil, err
}

// Token returns the token with which the Directory identifies this session's ownership of
// its ID. It returns 0 without a Directory, and after OnSessionClosed has returned.
func (s *Session[K, C]) Token() uint64 {
	sh := s.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, c := range sh.claims[s.id] {
		if c.s == s {
			return c.token
		}
	}
	return 0
}

// CloseToken closes the session that was registered with the given ID and token, and
// reports whether this call closed it. It returns when OnSessionClosed has returned, so that
// the session processes nothing more, or with the error of ctx if that ends first. The
// connection is closed in any case. It is meant for the Directory. From the session's own
// callbacks it waits until ctx ends, since they do not return before.
func (p *Pool[K, C]) CloseToken(ctx context.Context, id K, token uint64, reason Reason) (bool, error) {
	s := p.claimed(id, token)
	if s == nil {
		return false, nil
	}
	won := s.tryClose(reason)
	if won {
		go s.finish() // ends with OnSessionClosed, which Shutdown waits for
	}
	select {
	case <-s.Done(): // also if ctx has ended before
		return won, nil
	default:
	}
	select {
	case <-s.Done():
		return won, nil
	case <-ctx.Done():
		return won, ctx.Err()
	}
}

// claimed finds the session of a token, also when it is closed already but has
// not ended.
func (p *Pool[K, C]) claimed(id K, token uint64) *Session[K, C] {
	sh, _ := p.shardOf(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, c := range sh.claims[id] {
		if c.token == token {
			return c.s
		}
	}
	return nil
}

// release gives up the ID of a session that has ended.
func (p *Pool[K, C]) release(s *Session[K, C]) {
	if token, ok := s.shard.forget(s); ok {
		p.c.Directory.Release(s.id, token)
	}
}

// forget takes a session that has ended off the claims.
func (sh *shard[K, C]) forget(s *Session[K, C]) (token uint64, ok bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	claims := sh.claims[s.id]
	for i, c := range claims {
		if c.s != s {
			continue
		}
		if len(claims) == 1 {
			delete(sh.claims, s.id)
			sh.shrinkClaimsLocked()
		} else {
			sh.claims[s.id] = append(claims[:i:i], claims[i+1:]...)
		}
		return c.token, true
	}
	return 0, false
}

// shrinkClaimsLocked gives memory back when three quarters of the claims have gone: a
// map keeps what it has grown to.
func (sh *shard[K, C]) shrinkClaimsLocked() {
	const small = 16
	n := len(sh.claims)
	if sh.peakClaims <= small || n > sh.peakClaims/4 {
		return
	}
	claims := make(map[K][]claim[K, C], n)
	maps.Copy(claims, sh.claims)
	sh.claims, sh.peakClaims = claims, n
}
