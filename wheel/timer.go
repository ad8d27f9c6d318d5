package wheel

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
)

// Never is a time, in terms of [Wheel.Elapsed], that does not come.
const Never = time.Duration(math.MaxInt64)

// Handler has the method that a timer calls when it fires. Fire is called once for each
// arming that ends by firing, on a goroutine of the wheel and with no lock held.
type Handler interface{ Fire() }

// HandlerFunc is a function that implements [Handler].
type HandlerFunc func()

// Fire calls f.
func (f HandlerFunc) Fire() { f() }

// Timer is a callback with a deadline. Make one with [Wheel.AfterFunc], or embed a Timer in
// another struct and initialize it with [Timer.Init] or [Timer.InitHandler], which do not
// allocate. A Timer must not be copied. Its methods panic if it was not initialized. They
// may be called from any goroutine, callbacks included, except that Init and InitHandler
// must not run at the same time as another method.
type Timer struct {
	// deadline is the wheel's time at which f is due while the timer is pending,
	// the complement of that after it fired, and otherwise stopped. The sign
	// changes under the shard's mu; while it is not negative anyone may move it
	// later by compare-and-swap.
	deadline atomic.Int64

	// Set by Init.
	wheel   *Wheel
	handler Handler

	entry Entry // lies in a slot while the timer is pending
}

// stopped is deadline of a timer that was stopped or never armed.
const stopped = math.MinInt64

// pendingAt is deadline of a timer that is pending and due at the given time.
func pendingAt(due time.Duration) int64 { return int64(max(0, due)) }

// dueAt is when a timer with that deadline is due, or was due when it fired.
func dueAt(deadline int64) time.Duration {
	switch {
	case deadline == stopped:
		return 0
	case deadline < 0:
		return time.Duration(^deadline)
	default:
		return time.Duration(deadline)
	}
}

// Init initializes t to call f on a goroutine of w when it fires. It does not arm t; use
// [Timer.Reset] for that. It does not allocate. Init panics if w or f is nil, or if t is
// pending.
func (t *Timer) Init(w *Wheel, f func()) {
	if f == nil {
		panic("wheel: Timer.Init with a nil func")
	}
	t.InitHandler(w, HandlerFunc(f))
}

// InitHandler is like [Timer.Init] with a Handler instead of a function. If h is a pointer to
// the struct in which t is embedded, no closure is allocated. InitHandler panics if w or h
// is nil, or if t is pending.
func (t *Timer) InitHandler(w *Wheel, h Handler) {
	if w == nil || h == nil {
		panic("wheel: Timer.Init with a nil wheel or a nil Handler")
	}
	if t.wheel != nil && t.deadline.Load() >= 0 {
		panic("wheel: Timer.Init of a pending timer")
	}
	t.deadline.Store(stopped)
	t.wheel, t.handler, t.entry = w, h, Entry{}
	w.Init(&t.entry, (*expiry)(t))
}

// ready returns t's shard.
func (t *Timer) ready() *shard {
	if t.wheel == nil {
		panic("wheel: use of a Timer that was not initialized by Wheel.AfterFunc or Timer.Init")
	}
	return t.wheel.shardOf(&t.entry)
}

// expiry is a timer as the owner of its own entry, which keeps Expire and Fire out
// of the timer's methods.
type expiry Timer

// Expire decides whether the timer fires. It is called under the shard's mu. A
// timer that is extended up to this very moment moves on instead.
func (t *expiry) Expire(now time.Duration) time.Duration {
	for {
		deadline := t.deadline.Load()
		due := dueAt(deadline)
		preempt.At("expire: the deadline is read")
		if due > now || t.deadline.CompareAndSwap(deadline, ^deadline) {
			return due
		}
	}
}

// Fire calls the handler.
func (t *expiry) Fire(_, _ time.Duration) { t.handler.Fire() }

// Reset arms t to fire d from now, whatever its state; the new deadline may be earlier or
// later than before. It reports whether t was pending; if so, the callback does not run for
// the earlier arming. If d is zero or negative, t fires at once. If the deadline is more
// than 292 years after the wheel was made, which a time.Duration cannot hold, t stays
// pending forever. On a closed wheel t does not become pending and Reset reports false.
//
// Moving a pending timer to a later deadline takes no lock. Arming an embedded Timer does
// not allocate.
func (t *Timer) Reset(d time.Duration) bool {
	t.ready()
	now := t.wheel.Elapsed()
	return t.ResetTo(now, after(now, d))
}

// ResetTo is like [Timer.Reset] with an absolute deadline in the wheel's time. now is the
// current value of [Wheel.Elapsed], which the caller has read. If due is not after now, t
// fires at once.
func (t *Timer) ResetTo(now, due time.Duration) bool {
	s := t.ready()
	deadline := pendingAt(due)
	old := t.deadline.Load()
	preempt.At("reset: the deadline is read")
	if due > now && old >= 0 && deadline >= old && t.deadline.CompareAndSwap(old, deadline) {
		return true
	}
	was, wake := s.arm(t, now, deadline)
	if wake {
		t.wheel.Wake()
	}
	return was
}

// arm gives t a deadline, whatever its state.
func (s *shard) arm(t *Timer, now time.Duration, deadline int64) (was, wake bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, false
	}
	was = t.deadline.Swap(deadline) >= 0
	return was, s.placeLocked(&t.entry, now, dueAt(deadline))
}

// Extend postpones a pending timer: its deadline becomes d from now, unless it is later
// already. It reports whether t is pending; if not, it changes nothing. A d of zero or
// less never changes the deadline.
//
// If Extend reports true, the callback does not start before the new deadline, unless
// Reset sets an earlier one. Extend takes no lock and does not allocate.
func (t *Timer) Extend(d time.Duration) bool {
	t.ready()
	if d <= 0 {
		return t.ExtendTo(0)
	}
	return t.ExtendTo(after(t.wheel.Elapsed(), d))
}

// ExtendTo is like [Timer.Extend] with an absolute deadline in the wheel's time (see
// [Wheel.Elapsed]).
func (t *Timer) ExtendTo(due time.Duration) bool {
	t.ready()
	deadline := pendingAt(due)
	for {
		old := t.deadline.Load()
		preempt.At("extend: the deadline is read")
		switch {
		case old < 0: // stopped or fired
			return false
		case deadline <= old: // extended further already
			return true
		case t.deadline.CompareAndSwap(old, deadline):
			return true
		}
	}
}

// Stop disarms t. It reports true if t was pending: the callback then does not run for that
// arming, and the wheel keeps no reference to t. It reports false if t has fired, was
// stopped or was never armed. Stop does not wait for a callback that is running.
func (t *Timer) Stop() bool {
	s := t.ready()
	if t.deadline.Load() < 0 {
		return false
	}
	preempt.At("stop: the deadline is read")
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.deadline.Load() < 0 {
		return false
	}
	t.deadline.Store(stopped)
	s.removeLocked(&t.entry)
	return true
}

// Deadline returns the time at which t is due, and reports whether t is pending. The time
// has a monotonic clock reading, so time.Until and comparisons are right even after a step
// of the wall clock. For a timer that never fires it is 292 years after the wheel was made.
// If t is not pending, it is the zero time.
func (t *Timer) Deadline() (time.Time, bool) {
	due, pending := t.Due()
	if !pending {
		return time.Time{}, false
	}
	return t.wheel.Time(due), true
}

// Due returns the deadline of t in the wheel's time (see [Wheel.Elapsed]), and reports
// whether t is pending. If t is not pending because it has fired, due is the deadline for
// which it fired; if it was stopped or never armed, due is 0.
func (t *Timer) Due() (due time.Duration, pending bool) {
	t.ready()
	deadline := t.deadline.Load()
	return dueAt(deadline), deadline >= 0
}

// after is now + d, or Never if that cannot be counted.
func after(now, d time.Duration) time.Duration {
	due := now + d
	if d > 0 && due < now {
		return Never
	}
	return due
}
