// Package tcp serves a protocol of your own over TCP or TLS. It accepts
// connections, cuts the input into frames, passes each frame to a callback, and
// closes each session with a reason that says why.
//
// A [Server] is a struct of settings. Its zero value works. A [bufio.SplitFunc]
// cuts the input into frames: lines by default, [ScanFrames] for a framing with a
// length prefix, or one of your own.
//
// # How a session ends
//
// A session is closed exactly once, and the first call that closes it sets the
// reason. The server closes a session when its peer
//
//   - is silent for [Server.IdleTimeout],
//   - takes longer than [Server.FrameTimeout] to send the rest of a frame,
//   - does not read for [Server.WriteTimeout],
//   - or sends a frame larger than [Server.MaxFrame].
//
// Each of these has a reason of its own. A panic in a callback closes only the
// session that the callback was for.
//
// # Callbacks
//
// Each session has its own goroutine, and its callbacks run there one after
// another: OnNewSessionRegister first, OnMessage for each frame in order, OnError
// if a fault ended the session, and OnSessionClosed last. Callbacks of different
// sessions run at the same time. No lock is held during a callback, so it may
// call any method of the server and its sessions, except [Server.Shutdown], which
// waits for the callbacks.
//
// A callback that blocks delays only its own session. One that may take long should
// watch [Session.Context], which is canceled when the session begins to close.
//
// # Replies to a pipeline
//
// [Session.Send] writes at once. If a peer sends many requests without waiting
// for the replies, answer with [Session.Queue]: the replies to requests that
// arrived together go out in one write. [Session.Finish] closes a session after
// its last reply has been sent, for a command such as QUIT.
//
// # Logins
//
// The ID of a session is a number. If your protocol knows its users by name,
// [Session.Bind] gives the session the user's name and closes the session that
// had it before. With a [Server.Directory], this holds for all servers that share
// the directory.
//
// # Memory
//
// A plain connection without pending input holds no read buffer: its goroutine
// waits until there is something to read, and only then takes a buffer from those
// that all sessions share. The queue of replies uses the same buffers. A
// connection under TLS also holds what crypto/tls keeps.
//
// # Closing under TLS
//
// If the reason is Timeout, Lifetime, Slow, FrameTimeout, Error or Handshake, the
// connection below TLS is closed without a close_notify alert, since sending one
// could block when the peer is gone. For other reasons the alert is sent as far
// as the socket takes it without waiting.
//
// # Locks
//
// Server.mu guards the listeners and the counts; under it the server only
// creates its pool and calls nothing else. Session.sending is held during each
// write, the one lock that is held during I/O, so that two Sends never
// interleave. A third lock guards the channels of Session.Done. No two of them are
// held at the same time, and no callback runs under any.
package tcp
