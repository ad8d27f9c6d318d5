// Package wheel keeps many timers cheaply: arming, extending and stopping one
// costs the same however many there are, and a timer that is extended again
// and again costs next to nothing until its time has come.
//
// Each [Timer] lies in a slot of a hierarchical timing wheel. Extending it to
// a later time writes its new deadline and leaves it where it is; when its slot
// comes up, the deadline is read again and the timer either fires or moves on.
// So a session that is active every second and times out after five minutes
// moves about once in five minutes.
//
// # How it is built
//
// The wheel is split into shards, each with a lock and slots of its own. One
// goroutine, the driver, sleeps until the earliest slot comes up, takes what is
// due, and hands the callbacks to a bounded set of goroutines. The library
// github.com/RussellLuo/timingwheel paces the driver: it is told the time of
// the next slot and wakes the driver shortly before. The last two milliseconds
// are slept on a timer of the runtime, since the library works in milliseconds
// of the wall clock and is not exact. It is never trusted: each firing is
// checked against the monotonic clock, and a watchdog wakes the driver a
// quarter of a second after a slot that the library let lie.
//
// # What is promised
//
//   - Never early: a callback does not start before its deadline on the
//     monotonic clock.
//   - Bounded lateness: one [Config.Tick] and the scheduler's delay; about a
//     second at most when the library stalls or the wall clock is set.
//   - Exactly once: each arming ends in one of these and no two: the callback
//     runs, Stop reports true, Reset reports true, the wheel is closed.
//   - Extend decides the race with the firing: when it reports true, the
//     callback does not start before the new deadline; when it reports false,
//     the callback's run has been decided already, or the timer was stopped.
//   - A stopped timer is unlinked at once and retains no memory.
//   - It works inside a testing/synctest bubble, where an hour costs
//     microseconds, if it is made and closed in the bubble.
//
// # Goroutines and locks
//
// All methods may be called from any goroutine, and from callbacks. No lock is
// held while a callback runs. The wheel's methods never block on a callback,
// so a caller may hold locks of its own.
//
// Lock order: a shard's lock and the callback queue's lock are never held
// together.
package wheel
