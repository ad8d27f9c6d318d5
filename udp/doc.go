// Package udp serves a protocol of your own over UDP. It keeps a session for each
// peer address, calls a callback for each datagram, and closes a session after a
// period of inactivity, since UDP itself does not report that a peer has gone.
//
// A [Server] is a struct of settings whose zero value is ready to use. [Server.Run] serves
// until a context ends, and then shuts the server down.
//
// # Sessions
//
// A session stands for the address and port of a peer. The first datagram from an
// address begins a session, unless [Server.Admit] refuses it. A protocol that
// recognizes its sessions by what is in the datagrams can move one to another address
// with [Session.Rebind]. A session ends exactly once: by [Server.IdleTimeout], by
// [Server.MaxLifetime], by [Session.Close], by a panic in a callback, because another
// session was moved to its address, or when the server shuts down. The first of these
// determines the reason. A later datagram from the same address begins another session.
// A datagram that arrives at the moment of expiry either keeps the session open or begins
// the next one; a single atomic word decides which.
//
// # Callbacks
//
// One goroutine reads the socket and never waits for a callback, except Admit, and
// OnError with a nil Session. It copies each datagram into the queue of its session.
// Sessions with something to do run on up to [Server.MaxCallbacks] goroutines,
// which end when there is nothing to do. The callbacks of one session run one after
// the other: OnNewSessionRegister first, OnMessage for each datagram in the order
// of arrival and OnIdle before the idle timeout, OnError if a callback crashed, then
// Farewell, OnSessionClosed last. Callbacks of different sessions run concurrently.
// No lock is held during a callback, so it may call any method of the server and its
// sessions except [Server.Shutdown] and [Server.Run], which wait for the callbacks.
//
// A session's turn ends after 64 datagrams, or with the callback that takes it past a
// millisecond; the other sessions with something to do come before its next turn.
//
// A callback that blocks delays only its own session, until MaxCallbacks of them
// block: then all sessions wait, and datagrams beyond [Server.MaxPending] and
// [Server.MaxPendingBytes] are dropped and counted. The new datagrams are dropped,
// not the pending ones. A callback that may take long should watch
// [Session.Context], which is canceled when the session begins to close.
//
// # Loss
//
// This package cannot see datagrams that the operating system drops because the
// socket's receive buffer is full. If you expect bursts, give Serve a socket with a
// larger buffer (SetReadBuffer). [Stats] accounts for every datagram that was read:
// it was handled, or dropped for one of the causes there.
//
// A failed write, for example after an ICMP message, ends neither the session nor
// the server; [Session.Send] returns the error.
//
// # Spoofed addresses
//
// A sender can put any source address into a datagram. A session therefore proves
// nothing about its peer until the peer has sent back something that was sent only
// to its address. [Server.Admit] can demand that before there is a session: it
// answers a datagram from an unknown address with a cookie, such as a keyed hash of
// the address, and admits a datagram that brings the cookie. A flood from spoofed
// addresses then takes no session and no memory. The project's examples/udp does so.
//
// Without Admit, consider:
//
//   - Memory: [Server.MaxSessions] has a limit by default. Beyond it, datagrams
//     from new addresses are refused, and no session is closed to make room. A
//     flood thus closes no existing session, but keeps new peers out until the
//     spoofed sessions time out. Call [Session.SetIdleTimeout] in
//     OnNewSessionRegister to give peers a few seconds until they have proved their
//     address.
//   - Amplification: if replies are longer than requests, an attacker can direct
//     much traffic at a victim with little of its own, by sending requests from the
//     victim's address. Until a peer has proved its address, send it no more bytes
//     than it has sent. The package itself sends only what Admit and Farewell
//     return.
//
// # Loops
//
// Two programs that answer each other's replies go on forever, and a single forged
// datagram sets them against each other. The server drops datagrams that come from
// its own address and port; if its socket is bound to all addresses, from any
// address of the machine with that port. It cannot recognize another server, nor
// itself behind a NAT.
//
// So the protocol must not answer a reply. In particular, never answer an error with
// an error: an answer to what a server does not understand is something that a
// second server may not understand either. Either make replies recognizable, for
// example by their first byte, and drop them where requests are expected, or do not
// answer anything that is not a valid request.
//
// # Memory
//
// An idle session takes about 350 bytes on a 64-bit machine, including its share of
// all tables: 23 MB for the 65,536 sessions of the default limit. Pending datagrams
// take at most MaxPendingBytes, and each of the MaxCallbacks goroutines holds at most
// one buffer of 64 KiB. In a steady state, receiving and sending a datagram allocates
// nothing if the socket is a *net.UDPConn.
//
// # Locks
//
// Server.mu guards the socket and the number of sessions, addresses.mu who has which
// address, Session.mu the pending datagrams of one session, and runQueue.mu the
// sessions that wait for a goroutine. Session.mu may be taken while addresses.mu is
// held; no other two of them are held together. No I/O is done, no callback is called and no
// lock of another package is taken under one of them, except that Server.mu is held
// while the pool is made.
package udp
