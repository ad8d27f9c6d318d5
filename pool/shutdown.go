package pool

import (
	"context"
	"fmt"
	"sync/atomic"
)

// closeAtOnce bounds the goroutines that Shutdown closes connections on.
const closeAtOnce = 256

// Shutdown closes the pool: every Register from now on fails with
// ErrPoolClosed, and all sessions are closed with the reason Shutdown, 256 at
// once. It returns nil when every OnSessionClosed has returned. If ctx ends
// first it returns an error that wraps the context's; the rest still end in
// the background. The pool's own wheel is closed; one that came with the Config
// is not.
//
// A further call waits as the first does. Shutdown must not be called from a
// callback, which it would wait for.
func (p *Pool[K, C]) Shutdown(ctx context.Context) error {
	p.closing.Store(true)
	won := p.winAll()
	if p.ownWheel {
		p.wheel.Close()
	}
	p.closeConns(won)
	p.passed.Store(true)
	p.checkDrained()
	select {
	case <-p.drained:
		return nil
	default:
	}
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pool: Shutdown: %d sessions have not ended: %w", p.live(), ctx.Err())
	}
}

// checkDrained closes drained if no session is left. It is called when no session
// can be born any more, so each shard's count only falls.
func (p *Pool[K, C]) checkDrained() {
	if p.live() == 0 {
		p.drain.Do(func() { close(p.drained) })
	}
}

// live is the number of sessions that have not ended.
func (p *Pool[K, C]) live() int64 {
	var n int64
	for i := range p.shards {
		n += p.shards[i].live.Load()
	}
	return n
}

// winAll takes every session that nobody else is closing out of the pool.
func (p *Pool[K, C]) winAll() []*Session[K, C] {
	var won []*Session[K, C]
	for _, s := range p.All() {
		if s.win(Shutdown) {
			p.remove(s, Shutdown)
			won = append(won, s)
		}
	}
	return won
}

// closeConns starts goroutines that close the sessions' connections. Each
// claims one session after the other, so that one whose Close blocks holds up
// itself alone. They end when all is closed, which drained tells.
func (p *Pool[K, C]) closeConns(won []*Session[K, C]) {
	var claimed atomic.Int64
	for range min(len(won), closeAtOnce) {
		go func() {
			for i := claimed.Add(1) - 1; i < int64(len(won)); i = claimed.Add(1) - 1 {
				won[i].closeConn()
			}
		}()
	}
}
