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

// Activity says what re-arms a session's idle timeout.
type Activity uint8

// What counts as activity. Bytes that are not a whole frame yet never do. While
// OnMessage runs a session does not time out, and a frame that was received
// counts from when it has been handled.
const (
	ReceivedOrSent Activity = iota // a whole frame received, and a successful Send
	Received                       // a whole frame received
	Sent                           // a successful Send
)

// Server accepts connections and serves them. The zero value works; its fields
// must not change once Serve or ListenAndServe was called, and it must not be
// copied from then on. It serves until [Server.Shutdown] or [Server.Close],
// one of which releases what it holds.
//
// All its methods may be called from any goroutine.
type Server struct {
	// Addr is where ListenAndServe listens, as "host:port". Serve does not look
	// at it.
	Addr string

	// TLSConfig, if it is not nil, makes every connection a TLS one. It is
	// cloned, and a MinVersion of 0 becomes TLS 1.2. A listener whose
	// connections are *tls.Conn already needs none; those sessions are always
	// closed beneath TLS.
	TLSConfig *tls.Config

	// Split cuts the input into frames, with the contract of bufio.Scanner: nil
	// means bufio.ScanLines. It runs on the session's goroutine, must not keep
	// data between calls, and may be called by many sessions at once. It differs
	// from Scanner's use in this: after a step that advances and gives no token
	// it is called again at once with what is left, if anything is.
	Split bufio.SplitFunc

	// MaxFrame is how many bytes one frame may have on the wire, delimiters and
	// headers included. 0 means 128 KiB; negative is an error. A larger frame
	// closes its session with TooLarge. A last frame that only the end of the
	// stream completes must be shorter than MaxFrame.
	MaxFrame int

	// IdleTimeout is how long a session may go without activity before it is
	// closed with pool.Timeout. 0 means 5 minutes; negative means for ever. Once the
	// server serves, SetIdleTimeout changes it.
	IdleTimeout time.Duration

	// FrameTimeout is how long a frame may take to become whole, from when the
	// session first waits for the rest of it; its bytes do not extend that. 0
	// means 30 seconds; negative means for ever.
	FrameTimeout time.Duration

	// WriteTimeout is how long one Send, or the write of what is queued, may wait
	// for a peer that does not read, from when the socket is full. 0 means 30
	// seconds; negative means for ever.
	WriteTimeout time.Duration

	// HandshakeTimeout is how long the TLS handshake may take. 0 means 10
	// seconds; negative means for ever.
	HandshakeTimeout time.Duration

	// MaxLifetime is how long a session may last, however active, before it is
	// closed with pool.Lifetime. 0 and negative mean without limit.
	MaxLifetime time.Duration

	// Activity is what re-arms the idle timeout.
	Activity Activity

	// Wheel keeps the sessions' timers. Nil means that the server makes a wheel of
	// its own and closes it in Shutdown and Close. Several servers, and timers of
	// the caller's, may share one, which must outlive the servers: once it is
	// closed, nothing times out.
	Wheel *wheel.Wheel

	// MaxSessions is how many sessions there may be at once, those in their
	// handshake included. 0 means 65,536, which take some 220 MB when they idle
	// without TLS; whoever wants no limit says math.MaxInt; negative is an error. A
	// connection beyond it is closed at once, and OnError is told pool.ErrFull.
	MaxSessions int

	// MaxSessionsPerIP is how many of them may come from one address; of IPv6,
	// from one /64 network. 0 means without limit; negative is an error. A
	// connection beyond it is closed at once, and OnError is told
	// ErrTooManyFromIP. Connections whose address is no IP are not counted.
	MaxSessionsPerIP int

	// Directory decides who owns the IDs that Session.Bind gives, where there are
	// more servers than this one. Nil means that this server is the whole world.
	Directory pool.Directory[string]

	// OnMessage is called for each frame, in order, on the session's goroutine.
	// The slice is valid during the call. The session does not time out
	// meanwhile. Nil means that frames are read and dropped.
	OnMessage func(*Session, []byte)

	// OnError is called with what went wrong: for a fault of a session on its
	// goroutine, after it was closed and before OnSessionClosed, at most once; for a
	// refused connection or a listener's passing error with a nil Session, on
	// Serve's goroutine, which accepts nothing meanwhile. A panic in
	// OnSessionClosed itself is told after it. A peer that closes is no error.
	// May be nil.
	OnError func(*Session, error)

	// OnNewSessionRegister is called once for each session, on its goroutine,
	// before anything else and after the TLS handshake. A connection whose
	// handshake fails gets neither this nor OnSessionClosed. May be nil.
	OnNewSessionRegister func(*Session)

	// OnSessionClosed is called once for each session that OnNewSessionRegister
	// is for, last, on its goroutine, after the connection was closed and when
	// no other callback of the session runs any more. May be nil.
	OnSessionClosed func(*Session, pool.Reason)

	// Logger is told of sessions that open (debug) and close (info), of faults
	// and listeners' errors (warn) and of panics with their stack (error). The
	// keys are session, remote, reason, idle, age, frames, error, panic and
	// stack; what a session sends is never logged. It goes through pool.LimitLog.
	// Nil means silent.
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

	sessions atomic.Pointer[sessions] // set by start
	names    atomic.Pointer[bindings] // set at the first Bind, under mu
	closing  atomic.Bool              // set under mu
	lastID   atomic.Int64

	refusedPerIP, acceptErrors atomic.Uint64
	counts                     [countStripes]counts
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
	srv.sessions.Store(p)
	return nil
}

// setDefaults fills what start sets, and names the first field that is wrong.
func (srv *Server) setDefaults() error {
	switch {
	case srv.MaxFrame < 0:
		return fmt.Errorf("tcp: Server.MaxFrame is %d: use a positive number, or 0 for %d", srv.MaxFrame, defaultMaxFrame)
	case srv.MaxSessions < 0:
		return fmt.Errorf("tcp: Server.MaxSessions is %d: use a positive number, or 0 for %d", srv.MaxSessions, defaultMaxSessions)
	case srv.MaxSessionsPerIP < 0:
		return fmt.Errorf("tcp: Server.MaxSessionsPerIP is %d: use a positive number, or 0 for no limit", srv.MaxSessionsPerIP)
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

// Session finds the open session with the given ID. A session is found from
// just before its OnNewSessionRegister until it is closed.
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
	return s, s.phase.Load() != phaseOpening
}

// Sessions ranges over the open sessions, in no order. Those that open or close
// meanwhile may be among them or not. No lock is held at a yield.
func (srv *Server) Sessions() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		p := srv.sessions.Load()
		if p == nil {
			return
		}
		for _, ps := range p.All() {
			s := (*Session)(ps.Conn())
			if s.phase.Load() != phaseOpening && !yield(s) {
				return
			}
		}
	}
}

// SetIdleTimeout changes the idle timeout: for sessions to come, and for those
// that there are and have none of their own, counted from the last activity. 0 and
// negative are as in IdleTimeout, and before the server serves it sets that field.
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

// Stats counts sessions, those in their handshake included. It is zero before
// the server serves.
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
