// Package tcp serves a protocol of your own over TCP or TLS. It accepts
// connections, cuts the input into frames, passes each frame to a callback, and
// closes each session with a reason that says why.
//
// A [Server] is a struct of settings. Its zero value works. A [bufio.SplitFunc]
// cuts the input into frames: lines by default, [ScanFrames] for a framing with a
// length prefix, or one of your own. [Server.Run] serves until a context ends, and then
// shuts the server down.
//
// # Sending
//
// There are two ways to send. [Session.Send] returns when the socket has taken the bytes: a
// peer that does not read slows down its caller. [Session.Post] never waits: what the socket
// does not take is queued and written when the peer reads, up to [Server.MaxOutbound]. The
// bytes go out in the order of the calls, from whatever goroutines. While callbacks handle
// frames, what is posted is gathered, so that the replies to a pipeline are one write. With
// [Server.FlushInterval], so is what is posted soon after something else.
//
// A [Group] is a room or a topic: [Group.Post] posts one message to all of its members, which
// share one copy of it. A member that does not read delays neither the caller nor the others.
//
// # How a session ends
//
// A session is closed exactly once, and the first call that closes it sets the
// reason. The server closes a session when its peer
//
//   - is silent for [Server.IdleTimeout],
//   - takes longer than [Server.FrameTimeout] to send the rest of a frame,
//   - reads nothing for [Server.WriteTimeout], or so little that more than
//     [Server.MaxOutbound] bytes would wait for it,
//   - or sends a frame larger than [Server.MaxFrame].
//
// Each of these has a reason of its own; both ways of not reading are ReasonSlow. A panic in a
// callback closes only the session that the callback was for.
//
// [Session.Finish] closes a session and still sends what is queued, for a command such as
// QUIT: post the last reply, and then finish. [Server.Farewell] returns the last bytes for a
// session that the server ends, for example at a timeout, a takeover or a shutdown. Such a
// session lingers: the server closes its writing side, and reads and drops until the peer has
// closed too, for [Server.LingerTimeout] at most. Closing at once could destroy what the peer
// has not read yet. No callback waits for that. A peer that is slow or gone is reset instead,
// so that the kernel keeps nothing for it.
//
// A peer may close its own side and still read. Such a session ends with ReasonEOF when no
// callback runs, nothing waits to be sent and nobody holds it; so call [Session.Hold] for a
// reply that another goroutine sends later.
//
// # Callbacks
//
// The callbacks of a session run one after another: OnNewSessionRegister first, OnMessage for
// each frame in order, Farewell if one is due, OnError if a fault ended the session, and
// OnSessionClosed last. They run on the goroutine that runs the session, which is not always
// the same one, except OnIdle, which runs on a goroutine of the wheel. Callbacks of different
// sessions run at the same time. No lock is held during a callback, so it may call any method
// of the server and its sessions, except [Server.Shutdown] and [Server.Run], which wait for the
// callbacks.
//
// A callback that blocks delays only its own session. One that may take long should
// watch [Session.Context], which is canceled when the session begins to close.
//
// # Logins
//
// The ID of a session is a number. If your protocol knows its users by name,
// [Session.Bind] gives the session the user's name and closes the session that
// had it before. With a [Server.Directory], this holds for all servers that share
// the directory.
//
// # Idle sessions
//
// On Linux, a session that waits for input is parked: it has no goroutine and no buffer, and
// one epoll instance of the server waits for the input of all of them. A new session is parked
// as soon as OnNewSessionRegister has returned and nothing has come; one under TLS also before
// its handshake. When there is input, one of some goroutines that are kept ready runs the
// session. If it had rested for a second, it is parked again as soon as it has handled what was
// there; otherwise, when no input has come for a second or two. Part of a frame keeps its buffer
// meanwhile, and a session whose peer has closed its side waits in the same way until it may end.
//
// This holds for TCP and Unix sockets, for TLS on them, and for connections that expose the socket
// that they wrap through a method NetConn or SyscallConn. Such a connection must read from that
// socket only while it is itself being read from: input that it reads ahead on a goroutine of its
// own does not wake the session. Other connections, and all on other systems, keep a goroutine
// each; nothing else differs. A session also keeps its goroutine if it cannot be parked because
// the process has no descriptor left or the system's limit of epoll watches is reached, which is
// reported to OnError once.
//
// # Memory
//
// All sessions share a pool of read buffers, and a connection takes one only when there is
// something to read. A session with nothing to send holds no buffer for sending. A connection
// under TLS also holds what crypto/tls keeps. [Server.MaxPendingBytes] bounds what all sessions
// together hold beyond that.
//
// # Closing under TLS
//
// A close_notify alert is sent behind the farewell, unless the session is reset or its
// handshake has failed. Nothing but Shutdown waits for that. The connections of a listener of
// package tls are sent one only if the session lingers.
//
// # Locks
//
// Server.mu guards the listeners and the counts; under it the server only
// creates its pool and calls nothing else. A session's outbound.mu guards its queue,
// slowWatch.mu the watch of a write that waits, wire.mu what TLS has encrypted,
// lingering.mu how long an end may take, workers.mu the goroutines that are free, inputCheck.mu
// the session that a worker runs, and timeLimit.mu the time of a frame or a handshake. No two of
// them are held at the same time. Under some of them timers are armed, and deadlines are set that
// make a read or a write return. No callback, and no write that could wait, runs under any of
// them. crypto/tls writes under locks of its own, so the wire beneath it never waits on a socket.
package tcp
