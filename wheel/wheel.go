package wheel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Wheel holds timers. Make one with [New]. It has a few goroutines until [Wheel.Close]. All
// its methods may be called from any goroutine, callbacks included.
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

// New returns a wheel and starts its goroutines. If a field of the Config is invalid, it
// returns an error that names it.
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

// AfterFunc calls f on a goroutine of the wheel after d. It returns a Timer, with which the
// call can be stopped or moved. If d is zero or negative, f is called at once. On a closed
// wheel f is never called. AfterFunc panics if f is nil.
func (w *Wheel) AfterFunc(d time.Duration, f func()) *Timer {
	t := new(Timer)
	t.Init(w, f)
	t.Reset(d)
	return t
}

// Tick returns the wheel's resolution. See [Config].
func (w *Wheel) Tick() time.Duration { return w.tick }

// Elapsed returns the wheel's time: the time since the wheel was made, on the monotonic
// clock. [Timer.ResetTo], [Timer.ExtendTo] and [Timer.Due] use this time.
func (w *Wheel) Elapsed() time.Duration {
	return time.Since(w.start)
}

// Time converts a value of the wheel's time to a time.Time with a monotonic clock reading.
func (w *Wheel) Time(elapsed time.Duration) time.Time {
	return w.start.Add(elapsed)
}

// Len returns the number of armed timers and entries. It is exact if none is armed, fires or
// is stopped during the call.
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

// Close disarms all timers and stops the wheel's goroutines. No callback starts after Close
// has returned: those that wait for a goroutine are dropped, except what a [Settler] has
// settled or is settling. Close does not wait for callbacks that are running, so it may be
// called from one. It is idempotent; another call waits for the first to return.
//
// Close waits for the library for at most a second. If the library is deadlocked, its
// goroutines are left running.
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
// those of level 2 or above come up at the same tick in two shards. Level 1 has 64
// such ticks, so of more shards than that n/64 share each.
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
