package pool

import (
	"context"
	"fmt"
	"io"
	"sync"
)

const (
	// closeAtOnce bounds the goroutines that Shutdown closes connections on.
	closeAtOnce = 256

	// sweepAtOnce bounds how many sessions Shutdown closes under a lock.
	sweepAtOnce = 256

	// sweepEnded bounds how many sessions of a shard Shutdown closes before it returns
	// if its context has ended.
	sweepEnded = 16
)

// Shutdown closes the pool. Register returns ErrPoolClosed from now on, and all sessions are
// closed with the reason Shutdown, up to 256 at the same time. Shutdown returns nil when
// every OnSessionClosed and every OnIdle has returned. If ctx ends first, it returns an error
// that wraps the context's cause, and the remaining sessions end in the background. Shutdown
// closes the pool's own wheel, but not one from the Config.
//
// Another call waits like the first. Shutdown must not be called from a callback, because it
// waits for it.
func (p *Pool[K, C]) Shutdown(ctx context.Context) error {
	p.closing.Store(true)
	p.sweep.Do(func() { p.closeAll(ctx) })
	select {
	case <-p.drained:
		return nil
	default:
	}
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pool: Shutdown: %d sessions have not ended: %w", p.live(), context.Cause(ctx))
	}
}

// closeAll closes every session that is open: some of each shard at once, which is
// all of them in a pool of some thousands, or of some hundreds when ctx has ended; and
// what is left on a goroutine that drained waits for.
func (p *Pool[K, C]) closeAll(ctx context.Context) {
	c := new(closer[K, C])
	var left []*shard[K, C]
	for i := range p.shards {
		most := sweepAtOnce
		if ctx.Err() != nil {
			most = sweepEnded
		}
		if sh := p.shards[i]; sh.shutSome(c, most) {
			left = append(left, sh)
		}
	}
	go func() {
		for _, sh := range left {
			for sh.shutSome(c, sweepAtOnce) {
			}
		}
		if p.ownWheel {
			p.wheel.Close()
		}
		p.passed.Store(true)
		p.checkDrained()
	}()
}

// shutSome closes some of the shard's sessions, and no more than most, and hands them
// to c. It reports whether there are more.
func (sh *shard[K, C]) shutSome(c *closer[K, C], most int) (more bool) {
	some, more := sh.closeSome(Shutdown, most)
	for _, s := range some {
		s.cancelContext()
	}
	c.add(some)
	return more
}

// closeSome closes some of the shard's sessions, which it returns, and reports whether
// there are more.
func (sh *shard[K, C]) closeSome(r Reason, most int) (some []*Session[K, C], more bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	some = sh.sessions.appendTo(make([]*Session[K, C], 0, min(most, sh.sessions.n)), most)
	for _, s := range some {
		s.closeLocked(r) // it is open, or it would not be in the pool
	}
	return some, sh.sessions.n > 0
}

// closer closes the connections of closed sessions on at most closeAtOnce
// goroutines. Each takes one session after the other, so that one whose Close
// blocks delays no other, and those that have ended are kept no longer. The
// goroutines end when nothing is left; drained tells when all sessions have ended.
type closer[K comparable, C io.Closer] struct {
	mu sync.Mutex
	// Guarded by mu.
	waiting [][]*Session[K, C] // none of them empty
	workers int
}

func (c *closer[K, C]) add(some []*Session[K, C]) {
	if len(some) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, some)
	for n := len(some); n > 0 && c.workers < closeAtOnce; n-- {
		c.workers++
		go c.work()
	}
}

func (c *closer[K, C]) work() {
	done := false
	defer func() {
		if !done { // a callback called runtime.Goexit: another goroutine goes on
			go c.work()
		}
	}()
	for s := c.next(); s != nil; s = c.next() {
		s.closeConn(s.shard.pool.wheel.Elapsed(), 0)
	}
	done = true
}

// next takes the next session off. If there is none, the worker ends, and is no
// longer counted.
func (c *closer[K, C]) next() *Session[K, C] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		c.waiting = nil
		c.workers--
		return nil
	}
	first := &c.waiting[0]
	s := (*first)[0]
	(*first)[0] = nil // what has ended is kept no longer
	if *first = (*first)[1:]; len(*first) == 0 {
		c.waiting = c.waiting[1:]
	}
	return s
}

// checkDrained closes drained if no session is left and no OnIdle runs. It is
// called when no session can be born any more, so each shard's counts only fall.
func (p *Pool[K, C]) checkDrained() {
	for i := range p.shards {
		if p.shards[i].live.Load() != 0 || p.shards[i].idling.Load() != 0 {
			return
		}
	}
	p.drain.Do(func() { close(p.drained) })
}

// live is the number of sessions that have not ended.
func (p *Pool[K, C]) live() int64 {
	var n int64
	for i := range p.shards {
		n += p.shards[i].live.Load()
	}
	return n
}
