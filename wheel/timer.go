package wheel

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
)

// Never is a time, in terms of [Wheel.Elapsed], that does not come.
const Never = time.Duration(math.MaxInt64)

// Handler is what a timer calls when it fires, once for each arming that ends
// so, on a goroutine of the wheel's and with no lock held.
type Handler interface{ Fire() }

// HandlerFunc is a func as a [Handler].
type HandlerFunc func()

// Fire calls f.
func (f HandlerFunc) Fire() { f() }

// Timer is a callback with a deadline. It is made by [Wheel.AfterFunc], or
// embedded in another struct and made ready with [Timer.Init] or
// [Timer.InitHandler], which allocate nothing. It must not be copied. Its methods panic on a Timer that was not
// made ready, and may be called from any goroutine, callbacks included; only
// those two may not run beside another method.
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

// Init makes t ready to be armed on w by [Timer.Reset]; f is what it calls, on
// a goroutine of the wheel's. It allocates nothing. Init panics if w or f is
// nil, or if t is pending.
func (t *Timer) Init(w *Wheel, f func()) {
	if f == nil {
		panic("wheel: Timer.Init with a nil func")
	}
	t.InitHandler(w, HandlerFunc(f))
}

// InitHandler is [Timer.Init] with a Handler: a pointer to the struct that t is
// embedded in needs no closure, which would be an allocation for each.
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
		panic("wheel: use of a Timer that was made neither by Wheel.AfterFunc nor ready by Timer.Init")
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
func (t *expiry) Fire() { t.handler.Fire() }

// Reset arms t, whatever its state, to fire d from now: later or earlier than
// before. It reports whether t was pending; if so, the callback will not run
// for that earlier arming. A d of zero or less fires at once. A d that reaches
// beyond the 292 years that a time.Duration counts, from when the wheel was
// made, makes t pending for ever. On a closed wheel t never fires, is not
// pending, and Reset reports false.
//
// Moving a pending timer to a later time takes no lock, and no arming of an
// embedded Timer allocates.
func (t *Timer) Reset(d time.Duration) bool {
	t.ready()
	now := t.wheel.Elapsed()
	return t.ResetTo(now, after(now, d))
}

// ResetTo is [Timer.Reset] to an absolute time, in terms of [Wheel.Elapsed], for
// a caller that has read the clock already: now is what it read. A time that is
// past fires at once.
func (t *Timer) ResetTo(now, due time.Duration) bool {
	s := t.ready()
	deadline := pendingAt(due)
	old := t.deadline.Load()
	preempt.At("reset: the deadline is read")
	if old >= 0 && deadline >= old && t.deadline.CompareAndSwap(old, deadline) {
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

// Extend postpones a pending timer: its deadline becomes d from now, unless it
// is later already. It reports false, and changes nothing, when the timer has
// fired or was stopped. A d of zero or less changes nothing.
//
// Extend takes no lock and allocates nothing. When it reports true, the
// callback does not start before the new deadline, unless Reset makes it
// earlier.
func (t *Timer) Extend(d time.Duration) bool {
	t.ready()
	if d <= 0 {
		return t.ExtendTo(0)
	}
	return t.ExtendTo(after(t.wheel.Elapsed(), d))
}

// ExtendTo is [Timer.Extend] to an absolute time, in terms of [Wheel.Elapsed],
// for a caller that has read the clock already.
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

// Stop ends t's arming. It reports true if t was pending: the callback then
// never runs for that arming, and the wheel keeps no trace of t. It reports
// false if t has fired, was stopped already or was never armed; it does not
// wait for a callback that is running.
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

// Deadline reports when t is due, and whether it is pending. The time carries a
// monotonic reading, so time.Until and comparisons hold across a step of the
// wall clock. A timer that never fires has a deadline 292 years after the wheel
// was made; one that is not pending has none.
func (t *Timer) Deadline() (time.Time, bool) {
	due, pending := t.Due()
	if !pending {
		return time.Time{}, false
	}
	return t.wheel.Time(due), true
}

// Due reports whether t is pending, and when it is due in terms of
// [Wheel.Elapsed]: if it is not pending, when it was due that it fired for, and
// 0 if it was stopped or never armed.
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
