package wheel

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Owner is the type in which an [Entry] is embedded. It computes its own deadline, for
// example a session that expires some time after its last activity. The wheel stores no
// deadline for it but calls Expire.
type Owner interface {
	// Expire returns the deadline, in the wheel's time. The wheel calls it when the time
	// of the entry's slot has come, and now is the wheel's current time. If the deadline
	// is after now, the entry moves to another slot, and Expire is called again at the
	// deadline or before. Otherwise the entry leaves the wheel and Fire is called; its
	// lateness counts from the deadline. [Never] is a deadline that does not come.
	//
	// Expire is called while a lock of the wheel is held. It must not block, take a lock
	// or call a method of the wheel except Elapsed. It is not called concurrently for one
	// entry.
	Expire(now time.Duration) (due time.Duration)

	// Fire is called once after each Expire for which the entry left the wheel, on a
	// goroutine of the wheel and with no lock held. now is the current value of
	// [Wheel.Elapsed], and due is the deadline that Expire returned, or when the entry was
	// armed if it was due already.
	Fire(now, due time.Duration)
}

// Settler is an [Owner] that decides for several entries at once what becomes of them when
// they are due, so that one lock serves them all.
type Settler interface {
	Owner

	// Settle is called before Fire, on the same goroutine and with no lock held. batch
	// begins with this owner; others follow that are due as well, as far as possible those
	// of the same group. Settle decides about as many from the front as it can at once, and
	// returns how many, at least 1. Then the wheel calls Settle of the next one. Settle may
	// replace an Owner in the batch: the wheel then calls Fire of the new one, and never
	// its Expire. If it sets it to nil, Fire is not called.
	//
	// Others wait while Settle runs, so it must not block or panic. The Fire of an entry
	// that is settled is called even if the wheel is closed in between.
	Settle(batch []Due) (settled int)
}

// Due is an owner whose entry has left the wheel because it is due.
type Due struct {
	Owner Owner
	At    time.Duration // since when, in the wheel's time
}

// Entry is the place of an [Owner] in a [Wheel]. Embed it in the owner and initialize it with
// [Wheel.Init]. It must not be copied. Unlike a [Timer] it has no deadline, so extending it
// does not involve the wheel.
type Entry struct {
	// Immutable since Wheel.Init.
	owner Owner
	shard uint16 // 1 + the index of its shard; 0: not ready
	group uint8  // of a Settler, within its shard; 0 for any other owner

	// slot is 1 + the index of the slot that it lies in, and 0 if it lies in none. It is
	// written under the shard's mu.
	slot atomic.Uint32

	// Guarded by the shard's mu.
	next, prev *Entry
}

// Init initializes e for o. It does not arm e; use [Wheel.Arm] for that. It does not allocate.
// Init panics if o is nil or e was initialized already.
func (w *Wheel) Init(e *Entry, o Owner) {
	w.init(e, o, rand.IntN(len(w.shards)), 0)
}

// InitSettler is like [Wheel.Init] for a Settler. Entries with the same group, which is not
// negative, are settled together if they are due together.
func (w *Wheel) InitSettler(e *Entry, s Settler, group int) {
	n := len(w.shards)
	w.init(e, s, group%n, 1+group/n%(groups-1))
}

func (w *Wheel) init(e *Entry, o Owner, shard, group int) {
	if o == nil {
		panic("wheel: Wheel.Init with a nil Owner")
	}
	if e.shard != 0 {
		panic("wheel: Wheel.Init of an Entry that was initialized already")
	}
	e.owner, e.shard, e.group = o, uint16(shard)+1, uint8(group)
}

// Arm makes the wheel call the Expire of e's owner at due or before, in the wheel's time. now
// is the current value of [Wheel.Elapsed], which the caller has read. If due is not after now,
// Expire is called at once. If e is armed already for the same time or an earlier one, Arm
// changes nothing. On a closed wheel Expire is never called.
//
// If Arm reports true, the caller must call [Wheel.Wake]. Arm leaves that to the caller so
// that the caller can release its locks first.
func (w *Wheel) Arm(e *Entry, now, due time.Duration) (wake bool) {
	s := w.shardOf(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && s.placeLocked(e, now, due)
}

// Wake makes the wheel's driver process what was armed. It does not block.
func (w *Wheel) Wake() { w.driver.wake() }

// Disarm removes e from the wheel, which then keeps no reference to it, and reports whether e
// was armed. It does not wait for a Fire that is running.
func (w *Wheel) Disarm(e *Entry) bool {
	s := w.shardOf(e)
	// Many are disarmed because they have fired, when the driver is busy with the shard. An
	// entry that the driver asks at this moment still has its slot.
	if e.slot.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removeLocked(e)
}

func (w *Wheel) shardOf(e *Entry) *shard {
	if e.shard == 0 {
		panic("wheel: use of an Entry that was not initialized by Wheel.Init")
	}
	return &w.shards[e.shard-1]
}
