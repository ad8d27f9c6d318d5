package tcp

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"iter"
	"log/slog"
	"net"
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
)

// Activity says what counts as activity on a session and restarts its idle timeout.
type Activity uint8

// The kinds of activity. Part of a frame never counts. While OnMessage runs, a session does
// not time out, and a received frame counts from when it has been handled. With Sent, a
// session to which nothing was sent for the idle timeout is closed when OnMessage returns,
// however much its peer sends.
const (
	ReceivedOrSent Activity = iota // a received frame, and a successful Send
	Received                       // a received frame
	Sent                           // a successful Send
)

// Server accepts connections and serves them. The zero value is ready to use. Its fields
// must not change after Serve or ListenAndServe was called, and it must not be copied from
// then on. It holds goroutines and sessions until [Server.Shutdown] or [Server.Close].
//
// All its methods may be called from any goroutine.
type Server struct {
	// Addr is the address on which ListenAndServe listens, as "host:port". Serve
	// ignores it.
	Addr string

	// TLSConfig, if not nil, makes every connection a TLS connection. It is cloned, and
	// a MinVersion of 0 becomes TLS 1.2. It is ignored for connections that are *tls.Conn
	// already; those are closed without a close_notify alert.
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

	// WriteTimeout is how long a Send or a write of queued data may block because the peer
	// does not read, counted from when the socket's buffer is full; the session is then
	// closed with ReasonSlow. 0 means 30 seconds; negative means no limit.
	WriteTimeout time.Duration

	// HandshakeTimeout is how long the TLS handshake may take, also with a listener of
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
	// closed after the servers: once it is closed, no session times out.
	Wheel *wheel.Wheel

	// MaxSessions is the maximum number of sessions, including those in their handshake. 0
	// means 65,536, which take about 220 MB when idle without TLS; negative means no
	// limit. A connection beyond the limit is closed at once and reported to OnError as
	// pool.ErrFull.
	MaxSessions int

	// MaxSessionsPerIP is the maximum number of sessions from one IPv4 address or one IPv6
	// /64 network. 0 and negative mean no limit. A connection beyond the limit is closed at
	// once and reported to OnError as ErrTooManyFromIP. Connections whose
	// address is not an IP address are not limited.
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
	// the connection was closed and after all other callbacks of the session. A later
	// session may have taken the ID of Bind by then; see Session.Bind. May be nil.
	OnSessionClosed func(*Session, pool.Reason)

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
	stopped                                      chan struct{} // closed when Shutdown or Close begins
	drained                                      chan struct{} // closed when no session goroutine is left after that

	mu sync.Mutex
	// Guarded by mu.
	listeners map[*onceListener]struct{}
	active    int // session goroutines
	perIP     map[netip.Addr]int
	countedIP map[*Session]netip.Addr // what each session counts under in perIP

	sessions atomic.Pointer[sessions] // set by start
	names    atomic.Pointer[bindings] // set at the first Bind, under mu
	ends     netserver.Ends[*Session] // see Session.Done
	closing  atomic.Bool              // set under mu
	lastID   atomic.Int64

	refusedPerIP, acceptErrors, probes atomic.Uint64
	counts                             [countStripes]counts
}

// sessions is the pool that a server keeps its sessions in.
type sessions = pool.Pool[int64, *transport]

// start makes the server ready to serve, if it is not. The error names the
// field that is wrong.
func (srv *Server) start() error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closing.Load() {
		return ErrServerClosed
	}
	if srv.sessions.Load() != nil {
		return nil
	}
	if err := srv.setDefaults(); err != nil {
		return err
	}
	p, err := pool.New(pool.Config[int64, *transport]{
		IdleTimeout: cmp.Or(srv.IdleTimeout, defaultIdleTimeout),
		MaxLifetime: max(0, srv.MaxLifetime),
		MaxSessions: cmp.Or(srv.MaxSessions, defaultMaxSessions),
		Wheel:       srv.Wheel,
		OnPanic:     srv.logPanic,
	})
	if err != nil {
		return fmt.Errorf("tcp: %w", err)
	}
	srv.stopped = make(chan struct{})
	srv.drained = make(chan struct{})
	srv.listeners = make(map[*onceListener]struct{})
	srv.perIP = make(map[netip.Addr]int)
	srv.countedIP = make(map[*Session]netip.Addr)
	srv.sessions.Store(p)
	return nil
}

// setDefaults fills what start sets, and names the first field that is wrong.
func (srv *Server) setDefaults() error {
	switch {
	case srv.MaxFrame < 0:
		return fmt.Errorf("tcp: Server.MaxFrame is %d: use a positive number, or 0 for %d", srv.MaxFrame, defaultMaxFrame)
	case srv.Activity > Sent:
		return fmt.Errorf("tcp: Server.Activity is %d: use tcp.ReceivedOrSent, tcp.Received or tcp.Sent", srv.Activity)
	}
	srv.logger = pool.LimitLog(srv.Logger)
	srv.split = srv.Split
	if srv.split == nil {
		srv.split = bufio.ScanLines
	}
	srv.maxFrame = cmp.Or(srv.MaxFrame, defaultMaxFrame)
	srv.frameTimeout = max(0, cmp.Or(srv.FrameTimeout, defaultFrameTimeout))
	srv.writeTimeout = max(0, cmp.Or(srv.WriteTimeout, defaultWriteTimeout))
	srv.handshakeTimeout = max(0, cmp.Or(srv.HandshakeTimeout, defaultHandshakeTimeout))
	if srv.TLSConfig != nil {
		srv.tlsConfig = srv.TLSConfig.Clone()
		if srv.tlsConfig.MinVersion == 0 {
			srv.tlsConfig.MinVersion = tls.VersionTLS12
		}
	}
	return nil
}

// Session returns the open session with the given ID. A session is found from when its
// OnNewSessionRegister has returned until it is closed.
func (srv *Server) Session(id int64) (*Session, bool) {
	p := srv.sessions.Load()
	if p == nil {
		return nil, false
	}
	ps, ok := p.Get(id)
	if !ok {
		return nil, false
	}
	s := (*Session)(ps.Conn())
	return s, s.shown()
}

// Sessions returns an iterator over the open sessions whose OnNewSessionRegister has
// returned, so that what it stored with SetValue is there, in no particular order. A session
// that opens or closes during the iteration may or may not be included. No lock is held
// while the loop body runs.
func (srv *Server) Sessions() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		p := srv.sessions.Load()
		if p == nil {
			return
		}
		for _, ps := range p.All() {
			s := (*Session)(ps.Conn())
			if s.shown() && !yield(s) {
				return
			}
		}
	}
}

// SetIdleTimeout changes the idle timeout of new sessions and of all open sessions without
// one of their own, counted from their last activity. 0 and negative mean the same as in
// IdleTimeout. Before the server serves, SetIdleTimeout sets that field.
func (srv *Server) SetIdleTimeout(d time.Duration) {
	srv.mu.Lock()
	p := srv.sessions.Load()
	if p == nil {
		srv.IdleTimeout = d
	}
	srv.mu.Unlock()
	if p != nil {
		p.SetIdleTimeout(cmp.Or(d, defaultIdleTimeout))
	}
}

// Stats returns the counts of the sessions, including those in their handshake. Before the
// server serves, it returns the zero value.
func (srv *Server) Stats() pool.Stats {
	if p := srv.sessions.Load(); p != nil {
		return p.Stats()
	}
	return pool.Stats{}
}

// remote is an address as the log shows it.
func remote(conn net.Conn) slog.Attr {
	if a := conn.RemoteAddr(); a != nil {
		return slog.String("remote", a.String())
	}
	return slog.String("remote", "")
}
