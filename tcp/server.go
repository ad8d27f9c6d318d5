package tcp

import (
	"bufio"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

const (
	defaultMaxFrame         = 128 << 10
	defaultMaxSessions      = 65_536
	defaultIdleTimeout      = 5 * time.Minute
	defaultFrameTimeout     = 30 * time.Second
	defaultWriteTimeout     = 30 * time.Second
	defaultHandshakeTimeout = 10 * time.Second
	defaultLingerTimeout    = time.Second
	defaultDrainTimeout     = 10 * time.Second
	defaultMaxOutbound      = 1 << 20
	defaultMaxPendingBytes  = 256 << 20
	defaultMaxHandshakes    = 4096
)

// Activity says what counts as activity on a session and restarts its idle timeout.
type Activity uint8

// The kinds of activity. Part of a frame never counts. While OnMessage runs, a session does
// not time out, and a received frame counts from when it has been handled. A Post counts when
// the socket has taken it. With Sent, a session to which nothing was sent for the idle timeout
// is closed when OnMessage returns, however much its peer sends.
const (
	ReceivedOrSent Activity = iota // a received frame, and a successful Send or Post
	Received                       // a received frame
	Sent                           // a successful Send or Post
)

// Server accepts connections and serves them. The zero value is ready to use. Its fields
// must not change after Serve, ListenAndServe or Run was called, and it must not be copied from
// then on. It holds goroutines and sessions until [Server.Shutdown] or [Server.Close].
//
// All its methods may be called from any goroutine.
type Server struct {
	// Addr is the address on which ListenAndServe listens, and Run without listeners, as
	// "host:port". Serve ignores it.
	Addr string

	// TLSConfig, if not nil, makes every connection a TLS connection. It is cloned, and
	// a MinVersion of 0 becomes TLS 1.2. It is ignored for connections that are *tls.Conn
	// already; those are sent a close_notify alert only if the session lingers.
	TLSConfig *tls.Config

	// Split cuts the input into frames, with the contract of bufio.Scanner. If nil,
	// bufio.ScanLines is used. It is called on the session's goroutine, for several
	// sessions at the same time, and must not keep data between calls. In contrast to
	// Scanner, if it advances without returning a token it is called again at once with
	// the rest of the input, if there is any. After 100 tokens in a row without advancing,
	// the session is closed with ReasonBadFrame.
	Split bufio.SplitFunc

	// MaxFrame is the maximum length of a frame on the wire in bytes, including
	// delimiters and headers. 0 means 128 KiB; negative is an error. A longer frame
	// closes its session with ReasonTooLarge. A last frame that is completed by the end
	// of the stream must be shorter than MaxFrame.
	MaxFrame int

	// IdleTimeout is how long a session stays open without activity; it is then closed
	// with pool.Timeout. 0 means 5 minutes; negative means that sessions do not time out.
	// Use SetIdleTimeout to change it while the server serves.
	IdleTimeout time.Duration

	// FrameTimeout is the time within which a frame must be complete, counted from when
	// the session first waits for the rest of it; otherwise the session is closed with
	// ReasonFrameTimeout. Further bytes of the frame do not extend it. 0 means 30 seconds;
	// negative means no limit.
	FrameTimeout time.Duration

	// WriteTimeout is how long the peer may take nothing of what is sent or queued; the
	// session is then closed with ReasonSlow. It counts from the last byte that was taken,
	// so a large message to a slow peer may take longer. Time during which the process was
	// stopped does not count. The session is closed up to a quarter of WriteTimeout, and a
	// few ticks of the wheel, later. 0 means 30 seconds; negative means no limit.
	WriteTimeout time.Duration

	// MaxOutbound is the maximum number of bytes of Post that wait on one session. 0 means
	// 1 MiB; negative is an error. Overflow says what happens beyond it.
	MaxOutbound int

	// Overflow says what Post does beyond MaxOutbound. The zero value is CloseSlow.
	Overflow Overflow

	// FlushInterval is how long a session to which something was posted gathers what is posted
	// next, so that many messages for many sessions, such as the members of a room, take one
	// write for each session and not one for each message. Not Post but a goroutine of the
	// server's does the writing, for one session after the other. It writes at once what is
	// posted after a longer pause; while it is busy, more is gathered. What is gathered is
	// written earlier when it reaches 16 KiB (Post then writes it), with the replies that a
	// callback of the session posts, by Send, or when the session ends. Until it is written, it
	// does not keep the session from timing out. 0 and negative mean that only what is posted
	// while the session's callbacks handle frames is gathered; see [Session.Post].
	FlushInterval time.Duration

	// LingerTimeout is how long the server goes on with the connection of a session that
	// has something left to send when it ends, or whose peer has not received all yet: it sends
	// the rest, closes its writing side, and reads and drops until the peer has closed too.
	// Then the connection is closed, or reset if the peer is not receiving. No callback
	// waits for that, but Shutdown does, and the connection counts towards MaxSessions. 0
	// means 1 second; negative means that the server sends what it can at once, and does not
	// read.
	LingerTimeout time.Duration

	// DrainOver is the time over which Shutdown spreads the closing of the sessions, so that
	// their peers do not all come back at once. 0 and negative mean at once.
	DrainOver time.Duration

	// DrainTimeout is how long Run waits for the sessions to end, beyond DrainOver; then it
	// cuts off those that are left. 0 means 10 seconds; negative means no limit. Shutdown has
	// its context instead.
	DrainTimeout time.Duration

	// HandshakeTimeout is how long the TLS handshake may take, including that of a listener of
	// package tls; the session is then closed with ReasonHandshake. 0 means 10 seconds;
	// negative means no limit.
	HandshakeTimeout time.Duration

	// MaxLifetime is how long a session may last, however active; it is then closed with
	// pool.Lifetime. 0 and negative mean no limit.
	MaxLifetime time.Duration

	// Activity says what restarts the idle timeout. The zero value is ReceivedOrSent.
	Activity Activity

	// Wheel holds the sessions' timers. If nil, the server makes one, and closes it in
	// Shutdown and Close. Several servers and other timers may share a wheel. It must be
	// closed after the servers: once it is closed, no session, frame, write or handshake times
	// out.
	Wheel *wheel.Wheel

	// IdleWarning is how long before the idle timeout OnIdle is called. 0 means half of the
	// idle timeout, which is also the maximum; negative means that OnIdle is not called.
	IdleWarning time.Duration

	// MaxSessions is the maximum number of connections: sessions, those in their handshake,
	// and those that linger. 0 means 65,536, which take about 50 MB on Linux when idle without
	// TLS, and 220 MB elsewhere; negative means no limit. A connection beyond the limit is
	// closed at once and reported to OnError as pool.ErrFull.
	MaxSessions int

	// MaxHandshakes is the maximum number of TLS handshakes at the same time. A connection
	// beyond it is closed with ReasonOverload. A handshake counts from its first byte where
	// sessions are parked, and elsewhere from when the connection was accepted. 0 means 4,096;
	// negative means no limit.
	MaxHandshakes int

	// MaxPendingBytes is the maximum memory of all sessions together, in bytes, for frames
	// of which part has been received, for what is queued, and for TLS handshakes, which
	// count for 32 KiB each. A session that would exceed it is closed with
	// ReasonOverload. What a Group has queued for many counts once. 0 means 256 MiB;
	// negative is an error.
	MaxPendingBytes int

	// MaxSessionsPerIP is the maximum number of sessions from one IPv4 address or one IPv6
	// /64 network. 0 and negative mean no limit. A connection beyond the limit is closed at
	// once and reported to OnError as ErrTooManyFromIP. Connections whose address is not an
	// IP address are not limited.
	MaxSessionsPerIP int

	// Directory coordinates the IDs of Session.Bind with other servers. If nil, the server
	// does not coordinate with others.
	Directory pool.Directory[string]

	// OnMessage is called for each frame, in order, on the session's goroutine. The slice
	// is valid during the call only. The session does not time out during the call. If
	// nil, frames are read and dropped.
	OnMessage func(*Session, []byte)

	// OnError reports an error. For an error of a session it is called at most once, on
	// the session's goroutine, after the session was closed and before OnSessionClosed; a
	// panic in OnSessionClosed is reported after it. For a refused connection or a
	// temporary Accept error the Session is nil, OnError has a goroutine of its own, and
	// Serve accepts nothing until it returns. A peer that closes its connection is not an
	// error, and neither is one that resets it before its first byte, as a health check
	// does. May be nil.
	OnError func(*Session, error)

	// OnNewSessionRegister is called once for each session, on its goroutine, after the TLS
	// handshake and before any other callback. For a connection whose handshake fails,
	// neither this nor OnSessionClosed is called. May be nil.
	OnNewSessionRegister func(*Session)

	// OnSessionClosed is called once for each session for which OnNewSessionRegister is
	// called, or would be if it were set. It is called on the session's goroutine, after
	// the session was closed and after all other callbacks of the session. May be nil.
	OnSessionClosed func(*Session, pool.Reason)

	// OnIdle is called IdleWarning before a session's idle timeout, so that its peer can be
	// asked to respond. From the call on, however late it is, the session has IdleWarning
	// left, unless there is activity; with the zero Activity, what OnIdle sends is activity.
	// OnIdle is called once per period of idleness, on a goroutine of the wheel. It is one of
	// the session's callbacks, of which no two run at the same time. May be nil.
	OnIdle func(*Session)

	// Farewell returns the last bytes for a session that the server ends, framed, or nil. It
	// is called at most once, after all callbacks but OnError and OnSessionClosed, on the
	// session's goroutine or one that it waits for, for every reason but EOF, Error, Slow,
	// Overload, Panic and Handshake, and not after Session.Finish. The bytes follow what is
	// queued, are not copied, and must not be changed. What the peer has not taken within
	// LingerTimeout is lost; if another callback runs for longer than that, the connection is
	// closed without a farewell. Server.Close sends none. May be nil.
	Farewell func(*Session, pool.Reason) []byte

	// Label names a session for people, for example by the user's name. The dashboard and
	// the program's top show it beside the ID. It is called often, on other goroutines than
	// the session's and on several at the same time, so it must be fast. See
	// [Session.Label]. May be nil.
	Label func(*Session) string

	// Logger receives sessions that open (debug) and close (info), errors of sessions and
	// listeners (warn), and panics with their stack (error). The keys are session, remote,
	// reason, idle, age, frames, error, panic and stack. The content of frames is never
	// logged. Records pass through pool.LimitLog. If nil, nothing is logged.
	Logger *slog.Logger

	// Set by start, before anything is served.
	logger                                       *slog.Logger // Logger, limited; nil: silent
	split                                        bufio.SplitFunc
	tlsConfig                                    *tls.Config
	maxFrame                                     int
	frameTimeout, writeTimeout, handshakeTimeout time.Duration // 0: none
	lingerTimeout, flushInterval                 time.Duration // 0: none
	maxOutbound                                  int
	maxSessions                                  int
	maxHandshakes, maxPendingBytes               int64
	wheel                                        *wheel.Wheel  // Wheel, or the server's own
	stopped                                      chan struct{} // closed when no listener is to go on
	drained                                      chan struct{} // closed when no goroutine is left after Shutdown or Close

	mu sync.Mutex
	// Guarded by mu.
	listeners map[*onceListener]struct{}
	active    int // sessions whose last callback has not returned
	helpers   int // and those that write for them or end their connections
	sockets   int // connections that are not closed
	perIP     map[netip.Addr]int
	countedIP map[*Session]netip.Addr // what each session counts under in perIP
	lingering map[*Session]*lingering // those whose time to linger has begun
	unpolled  bool                    // no poller is made any more

	binding sync.Mutex // held while a session takes an ID; no I/O and no callback is under it

	sessions atomic.Pointer[sessions] // set by start
	names    atomic.Pointer[bindings] // set at the first Bind, under mu
	ends     netserver.Ends[*Session] // see Session.Done

	bindingsReady, bindingsGone netserver.Ends[*binding] // see binding

	deaf    atomic.Bool // StopListening, Shutdown or Close was called; set under mu
	closing atomic.Bool // Shutdown or Close was called; set under mu
	cutting atomic.Bool // connections are closed at once
	lastID  atomic.Int64
	flusher flusher
	workers workers
	poller  atomic.Pointer[poller] // made under mu, when a session is first parked

	parked    atomic.Int64 // sessions
	parkFails atomic.Bool  // the last session could not be parked

	pending    atomic.Int64 // counts towards MaxPendingBytes
	handshakes atomic.Int64
	waiting    atomic.Int64 // bytes of Post that are queued

	refusedPerIP, refusedFull, acceptErrors, probes, dropped, slow atomic.Uint64
	counts                                                         [countStripes]counts
}
