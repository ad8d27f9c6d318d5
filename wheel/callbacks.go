package wheel

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
)

const (
	// maxQueued is how many callbacks the driver lets wait. What is due beyond them
	// stays in its slot, where it costs nothing and can still be extended or stopped.
	maxQueued = 8 * takeAtMost

	// maxChunk is how many callbacks a worker takes at once, at most.
	maxChunk = 128

	// quickChunk is how long the callbacks of a chunk may take together for the
	// worker to take a larger one next. After a slower one it takes one at a time.
	quickChunk = time.Millisecond
)

// callbacks runs what is due on at most max goroutines, the workers. A worker takes
// a chunk of what waits, has its Settler settle it, and claims one callback of it
// after the other. Before it runs one while others wait, it makes sure that another
// worker is on its way if the limit allows it. Workers claim callbacks of another's
// chunk too, if that has not come on since one of them looked before, or if no other
// callback waits. So a callback that blocks delays no other while there are places.
// Workers exit when nothing is left.
type callbacks struct {
	max     int32
	onPanic func(v any, stack []byte)
	elapsed func() time.Duration
	room    chan struct{} // holds one: there are fewer than maxQueued again, perhaps
	late    latenessCounters

	queued   atomic.Int32 // in batches; changes under mu
	running  atomic.Int32 // workers; grows under mu
	starting atomic.Int32 // workers that have not looked for a chunk yet; grows under mu

	mu sync.Mutex
	// Guarded by mu.
	batches []batch  // first in, first out
	chunks  []*chunk // that workers have taken, the earliest first; some may be exhausted
	closed  bool
}

// batch is what no worker has taken yet of what the driver found due together.
type batch struct {
	due    []Due
	settle bool // their owners are Settlers
}

// chunk is a part of a batch, and its callbacks are claimed one by one.
type chunk struct {
	batch
	ready   atomic.Bool  // it is settled, and other workers may claim
	claimed atomic.Int32 // at least how many of due; may exceed them

	// Guarded by callbacks.mu.
	seen int32 // what claimed was when a worker looked for a chunk before
}

// left is how many callbacks are not claimed.
func (ch *chunk) left() int32 { return max(0, int32(len(ch.due))-ch.claimed.Load()) }

func newCallbacks(c Config, elapsed func() time.Duration) *callbacks {
	return &callbacks{max: int32(c.MaxCallbacks), onPanic: c.OnPanic, elapsed: elapsed, room: make(chan struct{}, 1)}
}

// submit has the callbacks of timers run, and of owners that are Settlers. It keeps
// both slices.
func (c *callbacks) submit(timers, settlers []Due) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	for _, b := range [...]batch{{timers, false}, {settlers, true}} {
		if len(b.due) > 0 {
			c.batches = append(c.batches, b)
			c.queued.Add(int32(len(b.due)))
		}
	}
	c.startWorkerLocked()
}

// startWorkerLocked starts a worker if something waits, no other is on its way and
// there is a place. It ends when it finds nothing more to run. Nothing waits for
// it, since Close may be called from the very callback that it runs.
func (c *callbacks) startWorkerLocked() {
	if c.starting.Load() == 0 && c.running.Load() < c.max && c.waitingLocked() > 0 {
		c.running.Add(1)
		c.starting.Add(1)
		go c.work()
	}
}

// startHelper starts a worker before one runs a callback of ch, which may block.
func (c *callbacks) startHelper(ch *chunk) {
	if c.starting.Load() == 0 && c.running.Load() < c.max && (c.queued.Load() > 0 || ch.left() > 0) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.startWorkerLocked()
	}
}

func (c *callbacks) work() {
	done := false
	defer func() {
		if !done { // the callback called runtime.Goexit
			c.running.Add(-1)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.startWorkerLocked()
		}
	}()
	late := c.late.next()
	size := 1
	for ch, own := c.next(size, true); ch != nil; ch, own = c.next(size, false) {
		if c.hasRoom() {
			select {
			case c.room <- struct{}{}:
			default:
			}
		}
		preempt.At("chunk: it is taken")
		if own {
			ch.settleAll()
		}
		preempt.At("chunk: it is settled")
		took, ran := c.run(ch, late)
		switch {
		case !ran: // others were quicker, which tells nothing
		case took > quickChunk:
			size = 1
		case own:
			size = min(2*size, maxChunk)
		}
	}
	done = true
}

// run runs the callbacks of a chunk that no other worker claims, and reports whether
// there were any, and how long they took.
func (c *callbacks) run(ch *chunk, late *latenessCounter) (took time.Duration, ran bool) {
	began := Never
	for {
		i := int(ch.claimed.Add(1)) - 1
		if i >= len(ch.due) {
			return c.elapsed() - began, began != Never
		}
		d := ch.due[i]
		ch.due[i] = Due{} // keeps what has run no longer
		if d.Owner == nil {
			continue
		}
		preempt.At("chunk: a callback is claimed")
		c.startHelper(ch)
		now := c.elapsed()
		began = min(began, now)
		late.add(now - d.At)
		c.call(d, now)
	}
}

// settleAll has the owners of a chunk settle it.
func (ch *chunk) settleAll() {
	for due := ch.due; ch.settle && len(due) > 0; {
		due = due[due[0].Owner.(Settler).Settle(due):]
	}
	ch.ready.Store(true)
}

// next returns a chunk with something to claim, of size callbacks at most if it is
// the worker's own. If there is none, the worker ends, and is no longer counted. From
// its first call on, a worker is no longer starting.
func (c *callbacks) next(size int, first bool) (ch *chunk, own bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first {
		c.starting.Add(-1)
	}
	left, stuck := c.leftLocked()
	switch {
	case stuck != nil:
		ch = stuck
	case len(c.batches) > 0:
		ch, own = c.cutLocked(size), true
	case left != nil:
		ch = left
	default:
		c.running.Add(-1)
		return nil, false
	}
	if c.waitingLocked() > ch.left() {
		c.startWorkerLocked()
	}
	return ch, own
}

// leftLocked returns the earliest chunk that has something left, and the earliest
// that has just as much left as when a worker looked for a chunk before: its worker
// may be blocked. It forgets those that have nothing left.
func (c *callbacks) leftLocked() (left, stuck *chunk) {
	kept := c.chunks[:0]
	for _, ch := range c.chunks {
		claimed := ch.claimed.Load()
		if claimed >= int32(len(ch.due)) {
			continue
		}
		kept = append(kept, ch)
		if ch.ready.Load() {
			if left == nil {
				left = ch
			}
			if stuck == nil && ch.seen == claimed {
				stuck = ch
			}
			ch.seen = claimed
		}
	}
	clear(c.chunks[len(kept):])
	c.chunks = kept
	return left, stuck
}

// cutLocked takes a chunk off the first batch.
func (c *callbacks) cutLocked(size int) *chunk {
	b := &c.batches[0]
	size = min(size, len(b.due))
	ch := &chunk{batch: batch{b.due[:size:size], b.settle}, seen: -1}
	if b.due = b.due[size:]; len(b.due) == 0 {
		if c.batches = c.batches[1:]; len(c.batches) == 0 {
			c.batches = nil
		}
	}
	c.queued.Add(int32(-size))
	c.chunks = append(c.chunks, ch)
	return ch
}

func (c *callbacks) call(d Due, now time.Duration) {
	if c.onPanic != nil {
		defer func() {
			if v := recover(); v != nil {
				c.onPanic(v, debug.Stack())
			}
		}()
	}
	d.Owner.Fire(now, d.At)
}

// close drops what waits, except what a Settler has decided on. A callback of
// another kind that no worker has claimed by now never starts.
func (c *callbacks) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.batches = nil
	c.queued.Store(0)
	for _, ch := range c.chunks {
		if !ch.settle {
			ch.claimed.Store(int32(len(ch.due)))
		}
	}
}

// hasRoom reports whether the driver may submit more.
func (c *callbacks) hasRoom() bool { return c.queued.Load() < maxQueued }

// waitingLocked is how many callbacks have not been claimed.
func (c *callbacks) waitingLocked() int32 {
	n := c.queued.Load()
	for _, ch := range c.chunks {
		n += ch.left()
	}
	return n
}

func (c *callbacks) counts() (running, waiting int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.running.Load()), int(c.waitingLocked())
}
