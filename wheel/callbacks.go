package wheel

import (
	"runtime/debug"
	"sync"
	"time"
)

// maxQueued is how many callbacks the driver lets wait. What is due beyond them
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
	elapsed func() time.Duration
	room    chan struct{} // holds one: there are fewer than maxQueued again
	late    latenessCounter

	mu sync.Mutex
	// Guarded by mu.
	queue    queue
	running  int // goroutines
	starting int // those of them that have not taken anything yet
	closed   bool
}

// firing is a callback that is due, and since when.
type firing struct {
	h  Handler
	at time.Duration
}

func newCallbacks(c Config, elapsed func() time.Duration) *callbacks {
	return &callbacks{max: c.MaxCallbacks, onPanic: c.OnPanic, elapsed: elapsed, room: make(chan struct{}, 1)}
}

// submit has the callbacks run; it does not keep the slice.
func (c *callbacks) submit(due ...firing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.queue.push(due)
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
	for f, ok := c.next(true); ok; f, ok = c.next(false) {
		c.late.add(c.elapsed() - f.at)
		c.call(f.h)
	}
	done = true
}

// next returns what the caller is to run. When there is nothing, the caller
// ends, and is no longer counted.
func (c *callbacks) next(first bool) (_ firing, ok bool) {
	c.mu.Lock()
	if first {
		c.starting--
	}
	if c.queue.len() == 0 {
		c.running--
		c.mu.Unlock()
		return firing{}, false
	}
	f := c.queue.pop()
	room := c.queue.len() == maxQueued-1
	c.relieveLocked()
	c.mu.Unlock()
	if room {
		select {
		case c.room <- struct{}{}:
		default:
		}
	}
	return f, true
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

// queue is first in, first out. Its memory is used again.
type queue struct {
	fs   []firing
	head int // those before it were popped
}

func (q *queue) len() int { return len(q.fs) - q.head }

func (q *queue) push(fs []firing) {
	if q.head > len(q.fs)/2 && len(q.fs)+len(fs) > cap(q.fs) {
		n := copy(q.fs, q.fs[q.head:])
		clear(q.fs[n:])
		q.fs, q.head = q.fs[:n], 0
	}
	q.fs = append(q.fs, fs...)
}

func (q *queue) pop() firing {
	f := q.fs[q.head]
	q.fs[q.head] = firing{}
	q.head++
	switch {
	case q.head < len(q.fs):
	case cap(q.fs) > 2*maxQueued: // it grew for a storm of timers that were due when armed
		*q = queue{}
	default:
		q.fs, q.head = q.fs[:0], 0
	}
	return f
}
