// Package udp serves a protocol of your own over UDP. It keeps a session for each
// address that sends datagrams, passes each datagram to a callback, and closes a
// session that has been idle for too long. UDP itself has no end of a connection.
//
// A [Server] is a struct of settings. Its zero value works.
//
// # Sessions
//
// A session stands for the address and port of a peer. The first datagram from
// there starts it. It is closed exactly once: by [Server.IdleTimeout], by
// [Server.MaxLifetime], by [Session.Close], by a panic in a callback, or when the
// server shuts down. The first of these sets the reason. A later datagram from
// the same address starts another session. A datagram that arrives at the moment
// of expiry either keeps the session open or starts the next one, never both: one
// atomic word decides.
//
// # Callbacks
//
// One goroutine reads the socket and never waits for a callback. It copies each
// datagram into the queue of its session. Up to [Server.MaxCallbacks] goroutines
// work through the sessions that have something to do, and end when there is
// nothing left. The callbacks of one session run one after another:
// OnNewSessionRegister first, OnMessage for each datagram in the order of
// arrival, OnError if a callback panicked, and OnSessionClosed last. Callbacks of
// different sessions run at the same time. No lock is held during a callback, so
// it may call any method of the server and its sessions, except
// [Server.Shutdown], which waits for the callbacks.
//
// A callback that blocks delays only its own session, until MaxCallbacks of them
// are blocked. From then on the other sessions wait, and datagrams beyond
// [Server.MaxPending] and [Server.MaxPendingBytes] are dropped and counted. The
// server drops the newest datagrams and keeps those already queued.
//
// # Lost datagrams
//
// The operating system drops datagrams when its buffer for the socket is full.
// The server cannot see that. If you expect bursts, pass Serve a socket with a
// larger buffer (SetReadBuffer). Every datagram that the server did read appears
// in one of the counts of [Stats]: it was handled, or dropped for a named cause.
//
// A write that fails, for example because of an ICMP message, ends neither the
// session nor the server. [Session.Send] returns the error.
//
// # Spoofed addresses
//
// Anyone can send a datagram with a forged source address. So a session proves
// nothing about its peer until the peer has sent back something that was sent
// only to that address.
//
//   - Memory: [Server.MaxSessions] has a limit by default. At the limit the server
//     refuses new addresses and closes no session to make room. A flood therefore
//     ends no live session, but it keeps new peers out until its own sessions have
//     timed out. [Session.SetIdleTimeout] in OnNewSessionRegister can limit a peer
//     that has not proved its address to a few seconds.
//   - Amplification: if a reply is longer than its request, an attacker who forges
//     the address of a victim can use the server to multiply the traffic that
//     reaches the victim. Send no more to a session than it has sent, until the
//     peer has proved its address. The package itself never sends anything.
//
// # Memory
//
// An idle session takes about 350 bytes on a 64-bit machine, its share of the
// pool's map and of the timers included. That is 23 MB for the 65,536 sessions
// of the default limit. Pending datagrams take at most MaxPendingBytes, and those
// being handled up to 64 KiB for each of MaxCallbacks. Once a session exists,
// receiving and sending on a *net.UDPConn allocates nothing.
//
// # Locks
//
// Server.mu guards the socket and the counts, Session.mu the datagrams pending
// for one session, and turns.mu the sessions that wait for a goroutine. No two of
// them are held at the same time. No I/O, no callback and no lock of another
// package happens under one, except that the pool is created under Server.mu.
package udp
