package wheel

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// callbacks runs what is due on at most max goroutines. A goroutine that is
// about to run a callback sees to it that another one looks for what is left:
// so a callback that blocks holds up nobody while there are places, callbacks
// that don't block make do with a few goroutines, and when all is done none
// lingers.
type callbacks struct {
	max     int
	onPanic func(v any, stack []byte)

	mu sync.Mutex
	// Guarded by mu.
	first, last *batch
	running     int // goroutines
	closed      bool

	// looking counts the goroutines that are not in a callback. It is raised
	// under mu for a new goroutine and lowered under mu for one that ends.
	looking atomic.Int64
}

// batch is some callbacks that became due together. The goroutines claim them
// one at a time by counting claimed up, so the lock is not taken for each.
type batch struct {
	handlers []Handler
	claimed  atomic.Int64
	after    *batch // guarded by callbacks.mu
}

// waiting counts what nobody has claimed.
func (b *batch) waiting() int {
	return max(0, len(b.handlers)-int(b.claimed.Load()))
}

// claim returns the next callback, and nil when all are claimed.
func (b *batch) claim() Handler {
	i := b.claimed.Add(1) - 1
	if i >= int64(len(b.handlers)) {
		return nil
	}
	h := b.handlers[i]
	b.handlers[i] = nil
	return h
}

// submit has the handlers run; it keeps the slice.
func (c *callbacks) submit(hs ...Handler) {
	if len(hs) == 0 {
		return
	}
	b := &batch{handlers: hs}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if c.last == nil {
		c.first = b
	} else {
		c.last.after = b
	}
	c.last = b
	if c.looking.Load() == 0 {
		c.startLocked()
	}
}

// startLocked starts one more goroutine, if there is a place. It ends when it
// finds nothing more to run. Nobody waits for it, since Close may be called from
// the very callback that it runs.
func (c *callbacks) startLocked() {
	if c.running < c.max {
		c.running++
		c.looking.Add(1)
		go c.run()
	}
}

func (c *callbacks) run() {
	done := false
	defer func() {
		if !done { // the callback called runtime.Goexit: another goroutine takes this one's place
			c.looking.Add(1)
			go c.run()
		}
	}()
	for b := c.head(); b != nil; b = c.head() {
		for h := b.claim(); h != nil; h = b.claim() {
			if c.looking.Add(-1) == 0 {
				c.relieve()
			}
			c.call(h)
			c.looking.Add(1)
		}
	}
	done = true
}

// head is the first batch that holds something unclaimed. When there is none,
// the caller ends, and is no longer counted.
func (c *callbacks) head() *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.unclaimedLocked()
	if b == nil {
		c.running--
		c.looking.Add(-1)
	}
	return b
}

// relieve starts a goroutine if something is left to run. The caller was the
// last that looked; what is submitted from here on sees that nobody does.
func (c *callbacks) relieve() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unclaimedLocked() != nil {
		c.startLocked()
	}
}

func (c *callbacks) unclaimedLocked() *batch {
	for c.first != nil && c.first.waiting() == 0 {
		c.first = c.first.after
	}
	if c.first == nil {
		c.last = nil
	}
	return c.first
}

func (c *callbacks) call(h Handler) {
	if c.onPanic != nil {
		defer func() {
			if v := recover(); v != nil {
				c.onPanic(v, debug.Stack())
			}
		}()
	}
	h.Fire()
}

// close drops what waits. A callback that nobody has claimed by now never
// starts.
func (c *callbacks) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for b := c.first; b != nil; b = b.after {
		b.claimed.Store(int64(len(b.handlers)))
	}
	c.first, c.last = nil, nil
}

func (c *callbacks) counts() (running, waiting int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for b := c.first; b != nil; b = b.after {
		waiting += b.waiting()
	}
	return c.running, waiting
}
