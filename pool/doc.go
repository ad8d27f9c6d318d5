// Package pool keeps the sessions of a server and closes each one that has been
// idle for too long.
//
// A session is a connection under an ID. The server registers it, calls
// [Session.Touch] whenever something happens on it, and need do nothing more:
// when nothing has happened for the idle timeout, the session leaves the pool,
// its connection is closed, and OnSessionClosed is told the reason "Timeout".
// No sweep over all sessions ever runs; each has a timer in a
// [github.com/sessionwheel/sessionwheel/wheel.Wheel], and Touch is one
// compare-and-swap.
//
// # How a session ends
//
// Exactly once, whoever asks. The first to close it fixes the reason, and then,
// in this order: its timer stops; it leaves the pool, unless another session
// has its ID by now; its connection is closed; OnSessionClosed is called; Done
// is closed. All of it runs on the goroutine of the call that closed it, with
// these exceptions: a timeout runs on a goroutine of the wheel's, a replaced
// session on one of its own, those closed by Shutdown on up to 256 that Shutdown
// starts, and when OnNewSessionRegister has not returned yet, OnSessionClosed
// waits for it and runs on the goroutine of Register.
//
// A close that blocks, in the connection's Close or in OnSessionClosed, delays
// no other session, until as many block as the wheel's MaxCallbacks allows, 256
// by default: then sessions that time out wait for a place, open meanwhile, and
// a Touch still keeps them.
//
// # Frozen processes
//
// When the process stood still (stopped, swapped out, migrated), its peers may
// have sent in time what nobody could read. So a session that comes due during
// such a stall, or in the quarter of a second after it, times out a quarter of
// a second after the stall at the earliest; a Touch until then keeps it. The
// wheel calls it a stall when a slot came up and it ran more than 100ms late,
// which a starved process may show as well, and there the moment is deserved
// for the same reason. The grace is given once for one stretch of idleness, so
// a process that stalls again and again closes its silent sessions all the same.
//
// # Locks
//
// No lock is held during a callback or a connection's Close, so all methods of
// the pool, its sessions and the wheel may be called from there, but Shutdown,
// which waits for the callbacks.
//
// Lock order: a shard's lock and a session's lock are never held together; a
// wheel's lock may be taken under a session's.
package pool
