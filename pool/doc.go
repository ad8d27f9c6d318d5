// Package pool keeps the sessions of a server and closes each one that has been
// idle for too long.
//
// A session is a connection with an ID. The server registers it and calls
// [Session.Touch] whenever something happens on it. When nothing has happened for
// the idle timeout, the pool removes the session, closes its connection and calls
// OnSessionClosed with the reason "Timeout". Touch records the time with one
// compare-and-swap and does nothing else. About once per idle timeout, a
// [github.com/sessionwheel/sessionwheel/wheel.Wheel] looks at that time. No sweep over
// all sessions ever runs.
//
// # How a session ends
//
// A session is closed exactly once. The first call that closes it sets the
// reason. Then these things happen in order: the session leaves its groups and the
// wheel; it leaves the pool, without disturbing another session that has taken its
// ID; its context is canceled; its connection is closed; OnSessionClosed is called;
// Done is closed.
//
// All of this runs on the goroutine of the call that closed the session, with
// four exceptions:
//
//   - A timeout runs on a goroutine of the wheel.
//   - A session that was replaced is closed on a goroutine of its own.
//   - Shutdown starts up to 256 goroutines to close sessions.
//   - If OnNewSessionRegister has not returned yet, OnSessionClosed waits for it
//     and runs on the goroutine of Register.
//
// Sessions that time out together are removed in batches, each under one lock, and
// closed one after the other. A connection's Close or an
// OnSessionClosed that blocks does not delay other sessions until MaxCallbacks of
// the wheel, 256 by default, are blocked. From then on, sessions that time out wait
// for a free goroutine. They stay open in the meantime, and a Touch still keeps
// them. A goroutine takes more than one session at a time, 128 at most, only if
// its last closes took less than a millisecond together. All that it takes leave
// the pool before the first connection is closed: if all goroutines become blocked
// just then, the other connections are closed when a goroutine is free again.
//
// # When the process is stopped
//
// A process can be stopped for a while: suspended, swapped out, or migrated to
// another machine. Its peers may have sent data in time that it could not read.
// So the wheel reports a stall when it runs more than 100ms late for a slot, and
// the pool gives the sessions that came due during the stall, or in the quarter
// of a second after it, a quarter of a second more from the end of the stall. A
// Touch in that time keeps the session.
//
// A process that gets too little processor time looks the same, and its sessions
// get the same grace, because data may lie unread there too. A session gets the
// grace only once between two activities, so a process that stalls again and
// again still closes its silent sessions.
//
// # Locks
//
// No lock is held during a callback or a connection's Close. All methods of the
// pool, its sessions and the wheel may be called from there, except
// [Pool.Shutdown], which waits for the callbacks.
//
// Lock order: the lock of a shard of the pool, which is also that of each session
// in it, then the lock of a group or of a shard of the wheel. Two shards of the same
// kind are never locked at the same time. The wheel holds a lock of its own while
// it asks a session when it is due, so the session only reads atomics to answer.
package pool
