package wheel

import (
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxQueued is how many callbacks the driver lets wait. What is due beyond them
// stays in its slot, where it costs nothing and can still be extended or stopped.
const maxQueued = 8 * takeAtMost

// callbacks runs what is due on at most max goroutines. They claim callbacks from
// the batches in which the driver took them. A worker that claims one first starts
// another worker if none is on its way and the limit allows it, so a callback that
// blocks delays no other while there are places. Workers exit when nothing is left.
type callbacks struct {
	max     int32
	onPanic func(v any, stack []byte)
	elapsed func() time.Duration
	room    chan struct{} // holds one: there are fewer than maxQueued again
	late    latenessCounter

	waiting  atomic.Int32 // callbacks in batches that are not claimed
	running  atomic.Int32 // workers; grows under mu
	starting atomic.Int32 // workers that have not claimed anything yet; grows under mu

	mu sync.Mutex
	// Guarded by mu.
	batches []*batch // first in, first out; those at the front may be exhausted
	closed  bool
}

// batch is callbacks that the driver took together.
type batch struct {
	due     []firing
	claimed atomic.Int64 // at least how many of due; may exceed them
}

// firing is a callback that is due, and since when.
type firing struct {
	owner Owner
	at    time.Duration
}

func newCallbacks(c Config, elapsed func() time.Duration) *callbacks {
	return &callbacks{max: int32(c.MaxCallbacks), onPanic: c.OnPanic, elapsed: elapsed, room: make(chan struct{}, 1)}
}

// submit has the callbacks run; it does not keep the slice.
func (c *callbacks) submit(due []firing) {
	if len(due) == 0 {
		return
	}
	b := &batch{due: slices.Clone(due)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.batches = append(c.batches, b)
	c.waiting.Add(int32(len(due)))
	c.startWorkerLocked()
}

// startWorker makes sure that a worker is on its way if something waits.
func (c *callbacks) startWorker() {
	if c.waiting.Load() > 0 && c.starting.Load() == 0 && c.running.Load() < c.max {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.startWorkerLocked()
	}
}

// startWorkerLocked starts a worker if something waits, no other is on its way and
// there is a place. It ends when it finds nothing more to run. Nothing waits for
// it, since Close may be called from the very callback that it runs.
func (c *callbacks) startWorkerLocked() {
	if c.waiting.Load() > 0 && c.starting.Load() == 0 && c.running.Load() < c.max {
		c.running.Add(1)
		c.starting.Add(1)
		go c.work()
	}
}

func (c *callbacks) work() {
	done := false
	defer func() {
		if !done { // the callback called runtime.Goexit
			c.running.Add(-1)
			c.startWorker()
		}
	}()
	for b := c.front(true); b != nil; b = c.front(false) {
		for f, ok := c.claim(b); ok; f, ok = c.claim(b) {
			c.startWorker()
			c.late.add(c.elapsed() - f.at)
			c.call(f.owner)
		}
	}
	done = true
}

// front returns a batch with something to claim. If there is none, the worker
// ends, and is no longer counted. From its first call on, a worker is no longer
// starting.
func (c *callbacks) front(first bool) *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first {
		c.starting.Add(-1)
	}
	for len(c.batches) > 0 {
		b := c.batches[0]
		if b.claimed.Load() < int64(len(b.due)) {
			return b
		}
		c.batches[0] = nil
		c.batches = c.batches[1:]
	}
	c.batches = nil
	c.running.Add(-1)
	return nil
}

// claim takes the next callback of a batch. No other worker runs it.
func (c *callbacks) claim(b *batch) (f firing, ok bool) {
	i := b.claimed.Add(1) - 1
	if i >= int64(len(b.due)) {
		return firing{}, false
	}
	f, b.due[i] = b.due[i], firing{} // keeps what has run no longer
	if c.waiting.Add(-1) == maxQueued-1 {
		select {
		case c.room <- struct{}{}:
		default:
		}
	}
	return f, true
}

func (c *callbacks) call(o Owner) {
	if c.onPanic != nil {
		defer func() {
			if v := recover(); v != nil {
				c.onPanic(v, debug.Stack())
			}
		}()
	}
	o.Fire()
}

// close drops what waits. A callback that no worker has claimed by now never
// starts.
func (c *callbacks) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, b := range c.batches {
		all := int64(len(b.due))
		if from := b.claimed.Swap(all); from < all {
			c.waiting.Add(int32(from - all))
		}
	}
	c.batches = nil
}

// full reports whether the driver is to wait for room.
func (c *callbacks) full() bool { return c.waiting.Load() >= maxQueued }

func (c *callbacks) counts() (running, waiting int) {
	return int(c.running.Load()), int(c.waiting.Load())
}
