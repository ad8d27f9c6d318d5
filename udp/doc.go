// Package udp serves a protocol of your own over UDP: it keeps a session for
// each address that sends, hands each datagram to a callback, and closes a
// session when nothing has happened on it for too long. UDP has no other end.
//
// A [Server] is a struct of settings whose zero value works.
//
// # Sessions
//
// A session is the address and port of a peer. Its first datagram begins it, and
// it ends exactly once: by [Server.IdleTimeout], by [Server.MaxLifetime], by
// [Session.Close], by a panic in a callback, or when the server shuts down. The
// first to close it fixes the reason. A datagram from the same address
// afterwards begins another session. One that arrives in the moment of expiry
// either keeps the session or begins the next; the two are decided by one atomic
// word.
//
// # Callbacks
//
// One goroutine reads the socket and never waits for a callback. It copies each
// datagram into the queue of its session, and sessions with something to do take
// turns on up to [Server.MaxCallbacks] goroutines, which end when there is
// nothing to do. The callbacks of one session run one after the other:
// OnNewSessionRegister, OnMessage for each datagram in the order of arrival,
// OnError if a callback crashed, OnSessionClosed last. Callbacks of different
// sessions run at the same time. No lock is held during a callback, so all
// methods of the server and its sessions may be called from one, but
// [Server.Shutdown], which waits for the callbacks.
//
// A callback that blocks holds up its own session alone, until MaxCallbacks of
// them block: then the others wait, and datagrams beyond [Server.MaxPending] and
// [Server.MaxPendingBytes] are dropped and counted. The newest are dropped, not
// those that are pending.
//
// # Loss
//
// What the operating system drops, since its buffer for the socket is full, is
// seen by nobody here; give Serve a socket with a larger one (SetReadBuffer)
// where bursts are expected. Of what was read, each datagram is in one of the
// counts of [Stats]: it was handled, or dropped for a cause that has a name.
//
// A failed write, such as one that an ICMP message made fail, ends neither the
// session nor the server: it is what [Session.Send] returns.
//
// # Spoofed addresses
//
// Anybody can send a datagram in anybody's name. So a session proves nothing
// about its peer until the peer has sent back something that only it was told.
//
//   - Memory: [Server.MaxSessions] has a limit by default. Beyond it new
//     addresses are refused, and no session is closed to make room, so a flood
//     ends no session that lives; but it keeps new peers out until its sessions
//     have timed out. [Session.SetIdleTimeout] in OnNewSessionRegister gives a
//     peer that has not proved itself a few seconds only.
//   - Amplification: a reply that is longer than its request lets an attacker
//     turn a little traffic of his into much at somebody whose address he wrote
//     into the datagram. Send no more to a session than it has sent, until it
//     has proved itself. The package itself never sends anything.
//
// # Memory
//
// An idle session takes about 350 bytes on a 64-bit machine, its shares of the
// pool's and the timers' tables included: 23 MB for the 65,536 of the default
// limit. What is pending takes MaxPendingBytes at most, and what is being
// handled up to 64 KiB for each of MaxCallbacks. In a steady state nothing is
// allocated for a datagram, received or sent, where the socket is a
// *net.UDPConn.
//
// # Locks
//
// Server.mu guards the socket and the counts, Session.mu what is pending for
// one session, and turns.mu the sessions that wait for a goroutine. No two of
// them are held together, and neither I/O nor a callback nor another package's
// lock happens under one, but for the making of the pool under Server.mu.
package udp
