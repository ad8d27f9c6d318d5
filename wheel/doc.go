// Package wheel runs many timers cheaply. Arming, extending or stopping a timer
// takes the same time whether there are ten of them or a million.
//
// Each [Timer] lies in a slot of a hierarchical timing wheel. Extending a timer
// writes its new deadline and leaves it in its slot. When the slot comes up, the
// wheel reads the deadline again and either fires the timer or moves it to a
// later slot. A session that is active every second and times out after five
// minutes therefore moves about once in five minutes.
//
// # Implementation
//
// The wheel is split into shards, each with its own lock and slots. One
// goroutine, the driver, sleeps until the earliest slot comes up, collects the
// timers that are due, and hands their callbacks to a bounded set of goroutines.
// Each of these takes a chunk of callbacks: one at first, and up to 128 as long as
// they return quickly. While one runs a callback, the others may take over what is
// left of its chunk, so a callback that blocks delays none of it.
// The coarse slots of different shards come up at different ticks (with more than
// 64 shards, a few share one), and the driver takes one batch from each shard in
// turn, so that a slot with many timers delays only what is due in its own shard.
//
// An [Entry] is the general form of a timer. It has no deadline: the wheel asks its
// [Owner] for it when the slot comes up. A [Timer] is an Entry whose deadline the
// wheel keeps. An owner that is a [Settler] decides for a whole chunk at once.
//
// The library github.com/RussellLuo/timingwheel paces the driver through longer
// waits: it wakes the driver 200 ms before the next slot, to check that the process
// was not stopped. The library counts milliseconds of the wall clock and can
// stall, so it is never trusted. The driver checks every deadline against the
// monotonic clock, and 110 ms before the slot a runtime timer wakes it in any case; if
// the library has failed three times in a row, the driver does without it. So no timer
// is late because the library missed a slot. The driver wakes once more when the slot
// comes up: so it wakes twice for a slot, and once where slots are less than 200 ms
// apart. Without timers it does not wake at all.
//
// # Guarantees
//
//   - Never early: a callback does not start before its deadline on the
//     monotonic clock.
//   - Bounded lateness: at most one [Config.Tick] plus the scheduler's delay, and
//     at most about a second when the library stalls or the wall clock is set.
//   - Exactly once: each arming ends in exactly one way. The callback runs, Stop
//     reports true, Reset reports true, or the wheel is closed.
//   - Extend decides the race with the firing: if it reports true, the callback
//     does not start before the new deadline; if it reports false, the timer has
//     fired, is about to, or was stopped.
//   - A stopped timer is unlinked at once and keeps no memory alive.
//   - A wheel works inside a testing/synctest bubble if it is created and closed
//     there. An hour of fake time then takes microseconds.
//
// # Goroutines and locks
//
// All methods may be called from any goroutine and from callbacks. Callbacks run
// without any lock held. The wheel's methods never wait for a callback, so the
// caller may hold its own locks.
//
// Lock order: a shard's lock and the callback queue's lock are never held at the
// same time.
package wheel
