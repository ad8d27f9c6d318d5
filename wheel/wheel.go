package wheel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Wheel keeps timers. It is made by [New] and owns a few goroutines until
// [Wheel.Close]. All its methods may be called from any goroutine, callbacks
// included.
type Wheel struct {
	// Immutable.
	tick      time.Duration
	start     time.Time // the wheel's time is counted from here, on the monotonic clock
	shards    []shard   // a power of two
	callbacks *callbacks
	driver    *driver

	closing sync.Once

	// sleepTick is the tick that the driver sleeps until. It is none while the
	// driver looks for the next one. An arming whose slot comes up earlier wakes
	// the driver.
	sleepTick atomic.Int64
}

// New makes a wheel and starts its goroutines. The error names the field of the
// Config that is wrong.
func New(c Config) (*Wheel, error) {
	return newWheel(c, newLibrary)
}

func newWheel(c Config, newPacer func() pacer) (*Wheel, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Wheel{
		tick:   c.Tick,
		start:  time.Now(),
		shards: make([]shard, shardCount()),
	}
	w.callbacks = newCallbacks(c, w.Elapsed)
	for i := range w.shards {
		w.shards[i].wheel = w
		w.shards[i].phase = phase(i, len(w.shards))
	}
	w.driver = startDriver(w, newPacer, c.Logger)
	return w, nil
}

// shardCount is the power of two that makes two processors rarely meet.
func shardCount() int {
	n := 8
	for n < 4*runtime.GOMAXPROCS(0) && n < 256 {
		n *= 2
	}
	return n
}

// AfterFunc calls f on a goroutine of the wheel's once d has passed, and returns
// the Timer that can stop it or change when. A d of zero or less calls f at
// once. On a closed wheel the timer never fires. AfterFunc panics if f is nil.
func (w *Wheel) AfterFunc(d time.Duration, f func()) *Timer {
	t := new(Timer)
	t.Init(w, f)
	t.Reset(d)
	return t
}

// Tick is the wheel's resolution, as Config.Tick set it.
func (w *Wheel) Tick() time.Duration { return w.tick }

// Elapsed is the wheel's time: how long ago it was made, on the monotonic
// clock. It is what [Timer.ExtendTo] counts in.
func (w *Wheel) Elapsed() time.Duration {
	return time.Since(w.start)
}

// Time converts the wheel's time to a time.Time with a monotonic reading.
func (w *Wheel) Time(elapsed time.Duration) time.Time {
	return w.start.Add(elapsed)
}

// Len is the number of pending timers and entries. It is exact while none is armed
// or stopped.
func (w *Wheel) Len() int {
	n := 0
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		n += s.pending
		s.mu.Unlock()
	}
	return n
}

// Close ends every arming and stops the wheel's goroutines. No callback starts
// after it returns: those that wait for a place are dropped. It does not wait
// for callbacks that run, and so may be called from one. Close is idempotent;
// a second call returns when the first is through.
//
// Close waits at most a second for the library. Should that be deadlocked, or
// hang in its own Stop, its goroutines stay behind.
func (w *Wheel) Close() {
	w.closing.Do(func() {
		for i := range w.shards {
			w.shards[i].close()
		}
		w.callbacks.close()
		w.driver.stop()
	})
}

// phase is how far shard i of n is ahead, so that neither the slots of level 1 nor
// those of level 2 or above come up at the same tick in two shards.
func phase(i, n int) int64 {
	const level1, level2 = levelSlots, levelSlots * levelSlots
	return int64(i*level2/n + i*level1/n)
}

// sleepsBeyond reports whether the driver sleeps beyond a tick.
func (w *Wheel) sleepsBeyond(tick int64) bool { return tick < w.sleepTick.Load() }

// Closed reports whether Close was called.
func (w *Wheel) Closed() bool {
	s := &w.shards[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
