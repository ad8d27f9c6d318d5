// Package tcp serves a protocol of your own over TCP or TLS: it accepts
// connections, cuts what they send into frames, hands each frame to a callback,
// and closes each session with a reason that says why.
//
// A [Server] is a struct of settings whose zero value works. How bytes become
// frames is a [bufio.SplitFunc]: lines by default, [ScanFrames] for a
// length-prefixed framing, or one of your own.
//
// # How a session ends
//
// Exactly once, whoever asks: the first to close it fixes the reason. A peer
// that is silent for [Server.IdleTimeout], that trickles the bytes of a frame
// for longer than [Server.FrameTimeout], that does not read for
// [Server.WriteTimeout], or that sends a frame over [Server.MaxFrame] is closed
// with the reason that says so. A panic in a callback closes that session and
// ends nothing else.
//
// # Callbacks
//
// Each session has a goroutine of its own, and its callbacks run there one
// after the other: OnNewSessionRegister, OnMessage for each frame in order,
// OnError if the session ends by a fault, OnSessionClosed last. Callbacks of
// different sessions run at the same time. No lock is held during a callback,
// so all methods of the server and its sessions may be called from one, but
// [Server.Shutdown], which waits for the callbacks.
//
// A callback that blocks holds up its own session alone.
//
// # Replies to a pipeline
//
// [Session.Send] writes at once. A peer that sends many requests without waiting
// for the replies is answered with fewer writes by [Session.Queue]: the replies
// to what was received together go out in one. [Session.Finish] closes a session
// behind its last reply, as for a command that means goodbye.
//
// # Logins
//
// A session's own ID is a number. A protocol that knows its users by name gives
// a session its user's with [Session.Bind], which closes the session that had it
// before. With a [Server.Directory] that holds for all the servers that share it.
//
// # Memory
//
// A plain connection on which nothing is pending holds no read buffer: its
// goroutine waits until there is something to read, and only then takes a
// buffer from those that all sessions share. So it is with what is queued. A
// connection under TLS holds what crypto/tls keeps.
//
// # Closing under TLS
//
// A session that ends by Timeout, Lifetime, Slow, FrameTimeout, Error or
// Handshake is closed beneath TLS, without the farewell that could block on a
// peer that is gone. For other reasons the farewell is sent as far as the
// socket takes it at once.
//
// # Locks
//
// Server.mu guards the listeners and the counts; nothing else is called under
// it but the making of the pool. Session.sending serialises the writes of one
// session and is the one lock held during I/O: it is what keeps two Sends from
// interleaving. The two are never held together, and no callback runs under
// either.
package tcp
