package wheel

import (
	"runtime/debug"
	"sync"
)

// maxQueued is how many handlers the driver lets wait. What is due beyond them
// stays in its slot, where it costs nothing and can still be extended or stopped.
const maxQueued = 8 * takeAtMost

// callbacks runs what is due on at most max goroutines. Whoever takes a callback
// to run it sees to it that another goroutine is on its way for what is left:
// so a callback that blocks holds up nobody while there are places, callbacks
// that don't block make do with a few goroutines, and when all is done none
// lingers.
type callbacks struct {
	max     int
	onPanic func(v any, stack []byte)
	room    chan struct{} // holds one: there are fewer than maxQueued again

	mu sync.Mutex
	// Guarded by mu.
	queue    queue
	running  int // goroutines
	starting int // those of them that have not taken anything yet
	closed   bool
}

func newCallbacks(c Config) *callbacks {
	return &callbacks{max: c.MaxCallbacks, onPanic: c.OnPanic, room: make(chan struct{}, 1)}
}

// submit has the handlers run; it does not keep the slice.
func (c *callbacks) submit(hs ...Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.queue.push(hs)
	c.relieveLocked()
}

// relieveLocked starts a goroutine if something waits, no other is on its way and
// there is a place. It ends when it finds nothing more to run. Nobody waits for
// it, since Close may be called from the very callback that it runs.
func (c *callbacks) relieveLocked() {
	if c.queue.len() > 0 && c.starting == 0 && c.running < c.max {
		c.running++
		c.starting++
		go c.run()
	}
}

func (c *callbacks) run() {
	done := false
	defer func() {
		if !done { // the callback called runtime.Goexit
			c.ended()
		}
	}()
	for h := c.next(true); h != nil; h = c.next(false) {
		c.call(h)
	}
	done = true
}

// next returns what the caller is to run, and nil when there is nothing: the
// caller then ends, and is no longer counted.
func (c *callbacks) next(first bool) Handler {
	c.mu.Lock()
	if first {
		c.starting--
	}
	if c.queue.len() == 0 {
		c.running--
		c.mu.Unlock()
		return nil
	}
	h := c.queue.pop()
	room := c.queue.len() == maxQueued-1
	c.relieveLocked()
	c.mu.Unlock()
	if room {
		select {
		case c.room <- struct{}{}:
		default:
		}
	}
	return h
}

// ended gives up the place of a goroutine that ends in a callback.
func (c *callbacks) ended() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	c.relieveLocked()
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

// close drops what waits. A callback that nobody has taken by now never starts.
func (c *callbacks) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.queue = queue{}
}

// full reports whether the driver is to wait for room.
func (c *callbacks) full() bool {
	_, waiting := c.counts()
	return waiting >= maxQueued
}

func (c *callbacks) counts() (running, waiting int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running, c.queue.len()
}

// queue holds handlers, first in, first out. Its memory is used again.
type queue struct {
	hs   []Handler
	head int // those before it were popped
}

func (q *queue) len() int { return len(q.hs) - q.head }

func (q *queue) push(hs []Handler) {
	if q.head > len(q.hs)/2 && len(q.hs)+len(hs) > cap(q.hs) {
		n := copy(q.hs, q.hs[q.head:])
		clear(q.hs[n:])
		q.hs, q.head = q.hs[:n], 0
	}
	q.hs = append(q.hs, hs...)
}

func (q *queue) pop() Handler {
	h := q.hs[q.head]
	q.hs[q.head] = nil
	q.head++
	switch {
	case q.head < len(q.hs):
	case cap(q.hs) > 2*maxQueued: // it grew for a storm of timers that were due when armed
		*q = queue{}
	default:
		q.hs, q.head = q.hs[:0], 0
	}
	return h
}
