package wheel

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// callbacks runs what is due on at most max goroutines. Each submission starts
// as many goroutines as it has callbacks, as far as max allows, and a goroutine
// ends when it finds nothing more to run: so a callback that blocks holds up
// nobody while there are places, and nothing lingers when all is done.
type callbacks struct {
	max     int
	onPanic func(v any, stack []byte)

	mu sync.Mutex
	// Guarded by mu.
	first, last *batch
	running     int
	closed      bool
}

// batch is some callbacks that became due together. Its goroutines claim them
// one at a time by counting claimed up, so the lock is taken for a batch and
// not for each.
type batch struct {
	fs      []func()
	claimed atomic.Int64
	after   *batch // guarded by callbacks.mu
}

// waiting counts what nobody has claimed.
func (b *batch) waiting() int {
	return max(0, len(b.fs)-int(b.claimed.Load()))
}

// claim returns the next callback, and nil when all are claimed.
func (b *batch) claim() func() {
	i := b.claimed.Add(1) - 1
	if i >= int64(len(b.fs)) {
		return nil
	}
	f := b.fs[i]
	b.fs[i] = nil
	return f
}

// submit has fs run; it keeps the slice.
func (c *callbacks) submit(fs ...func()) {
	if len(fs) == 0 {
		return
	}
	b := &batch{fs: fs}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	if c.last == nil {
		c.first = b
	} else {
		c.last.after = b
	}
	c.last = b
	start := min(len(fs), c.max-c.running)
	c.running += start
	c.mu.Unlock()
	for range start {
		go c.run()
	}
}

// run claims callbacks until there are none. Nobody waits for it: Close may be
// called from the very callback that it runs.
func (c *callbacks) run() {
	done := false
	defer func() {
		if !done { // the callback called runtime.Goexit: another goroutine takes this one's place
			go c.run()
		}
	}()
	for b := c.head(); b != nil; b = c.head() {
		for f := b.claim(); f != nil; f = b.claim() {
			c.call(f)
		}
	}
	done = true
}

// head is the first batch that holds something unclaimed. When there is none,
// the caller is no longer counted as running.
func (c *callbacks) head() *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.first != nil && c.first.waiting() == 0 {
		c.first = c.first.after
	}
	if c.first == nil {
		c.last = nil
		c.running--
	}
	return c.first
}

func (c *callbacks) call(f func()) {
	if c.onPanic != nil {
		defer func() {
			if v := recover(); v != nil {
				c.onPanic(v, debug.Stack())
			}
		}()
	}
	f()
}

// close drops what waits. A callback that nobody has claimed by now never
// starts.
func (c *callbacks) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for b := c.first; b != nil; b = b.after {
		b.claimed.Store(int64(len(b.fs)))
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
