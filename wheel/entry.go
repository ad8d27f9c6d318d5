package wheel

import (
	"math/rand/v2"
	"time"
)

// Owner is what an [Entry] belongs to: something that ends at a time which it
// computes itself, such as a session that ends a while after its last activity.
// The wheel keeps no deadline of its own for it. It asks.
type Owner interface {
	// Expire is asked when the entry's slot comes up: now is the wheel's time. If
	// it returns a time after now, the entry moves on and is asked again by then.
	// Otherwise the entry leaves the wheel and Fire follows; what Expire returned
	// is when it was due, which its lateness is counted from. [Never] is a time
	// that does not come.
	//
	// Expire is called with a lock of the wheel's held. It must not block, take a
	// lock or call a method of the wheel but Elapsed. It is called by one
	// goroutine at a time.
	Expire(now time.Duration) (due time.Duration)

	// Fire is called once after each Expire that let the entry leave, on a
	// goroutine of the wheel's and with no lock held.
	Fire()
}

// Entry is an Owner's place in a [Wheel]. It is embedded in the owner, made ready
// with [Wheel.Init], and must not be copied. Unlike a [Timer] it has no deadline:
// extending it costs the wheel nothing at all, since the owner answers for it.
type Entry struct {
	// Immutable since Wheel.Init.
	owner Owner
	shard uint16 // 1 + the index of its shard; 0: not ready

	// Guarded by the shard's mu.
	slot       uint16 // 1 + the index of the slot that it lies in; 0: in none
	next, prev *Entry
}

// Init makes e ready to be armed for o. It allocates nothing. Init panics if o is
// nil or e is armed.
func (w *Wheel) Init(e *Entry, o Owner) {
	if o == nil {
		panic("wheel: Wheel.Init with a nil Owner")
	}
	if e.shard != 0 {
		panic("wheel: Wheel.Init of an Entry that is ready already")
	}
	e.owner, e.shard = o, uint16(rand.IntN(len(w.shards)))+1
}

// Arm has the wheel ask e's owner when due comes, in terms of [Wheel.Elapsed], or
// before; now is what the caller has read there. A time that is not after now is
// asked for at once. Arming an entry that is armed already for a time that is no
// later changes nothing. On a closed wheel nothing is ever asked.
//
// The driver may have to be woken, which Arm leaves to the caller, so that it can
// let go of its locks first: if Arm reports true, call [Wheel.Wake].
func (w *Wheel) Arm(e *Entry, now, due time.Duration) (wake bool) {
	s := w.shardOf(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && s.placeLocked(e, now, due)
}

// Wake has the wheel's driver look at what was armed.
func (w *Wheel) Wake() { w.driver.wake() }

// Disarm takes e out of the wheel, which then keeps no trace of it, and reports
// whether it was there. A Fire that is under way goes on.
func (w *Wheel) Disarm(e *Entry) bool {
	s := w.shardOf(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removeLocked(e)
}

func (w *Wheel) shardOf(e *Entry) *shard {
	if e.shard == 0 {
		panic("wheel: use of an Entry that Wheel.Init has not made ready")
	}
	return &w.shards[e.shard-1]
}
