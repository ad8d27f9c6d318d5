package udp

import (
	"cmp"
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
	defaultIdleTimeout     = time.Minute
	defaultMaxSessions     = 65_536
	defaultMaxDatagram     = 65_535 // UDP's field for the length has no room for more
	defaultMaxPending      = 64
	defaultMaxPendingBytes = 64 << 20
	defaultMaxCallbacks    = 256
)

// Activity says what re-arms a session's idle timeout.
type Activity uint8

// What counts as activity. While a datagram is pending or OnMessage runs, a
// session does not time out, and a datagram counts again when it has been
// handled. One that is dropped as ErrPendingFull counts as received; one over
// Server.MaxDatagram does not.
const (
	ReceivedOrSent Activity = iota // a datagram received, and a successful Send
	Received                       // a datagram received
	Sent                           // a successful Send
)

// Server serves one UDP socket. The zero value works; its fields must not change
// once Serve or ListenAndServe was called, and it must not be copied from then
// on. It serves until [Server.Shutdown] or [Server.Close], one of which releases
// what it holds.
//
// All its methods may be called from any goroutine.
type Server struct {
	// Addr is where ListenAndServe listens, as "host:port". Serve does not look
	// at it. On a machine with several addresses name one of them: what is sent
	// from a socket that is bound to all of them need not come from the address
	// that the peer had sent to.
	Addr string

	// IdleTimeout is how long a session may go without activity before it is
	// closed with pool.Timeout. 0 means 1 minute; negative means for ever, which
	// spoofed addresses make unwise. Once the server serves, SetIdleTimeout changes
	// it.
	IdleTimeout time.Duration

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

	// MaxSessions is how many sessions there may be at once, those included whose
	// OnSessionClosed has not returned. 0 means 65,536, for which an idle server
	// takes 23 MB; negative means without limit, and then it is the senders of
	// spoofed datagrams who decide on the memory. A datagram that would begin a
	// session beyond it is dropped, and OnError is told pool.ErrFull; no session
	// is closed to make room.
	MaxSessions int

	// MaxSessionsPerIP is how many of them may come from one address; of IPv6,
	// from one /64 network. 0 means without limit; negative is an error. A
	// datagram that would begin a session beyond it is dropped, and OnError is
	// told ErrTooManyFromIP. A session counts until just before its
	// OnSessionClosed.
	MaxSessionsPerIP int

	// MaxDatagram is how many bytes a datagram may have. 0 means 65,535, the most
	// that UDP knows; more than that and negative are errors. A larger datagram
	// is dropped whole, and OnError is told ErrTooLarge; it begins no session and
	// ends none.
	MaxDatagram int

	// MaxPending is how many datagrams of one session may wait while another one
	// of it is handled. 0 means 64; negative is an error. Further ones are
	// dropped, and OnError is told ErrPendingFull.
	MaxPending int

	// MaxPendingBytes is how much memory the waiting datagrams of all sessions
	// may take together. It comes in pieces of 512 bytes, 2, 8 and 64 KiB, of
	// which a datagram takes the least that holds it. 0 means 64 MiB; negative is
	// an error, as is a number so small that MaxDatagram does not fit in. Further
	// datagrams are dropped, and OnError is told ErrPendingFull.
	MaxPendingBytes int

	// MaxCallbacks is how many sessions may be in a callback at once. 0 means
	// 256; negative is an error. It bounds the goroutines of the server.
	MaxCallbacks int

	// OnMessage is called for each datagram, those of a session in order, and
	// those without content too. The slice is valid during the call. The session
	// does not time out meanwhile. Nil means that datagrams are read and dropped.
	OnMessage func(*Session, []byte)

	// OnError is called with what went wrong: for a callback that crashed with
	// its session, after that was closed and before OnSessionClosed; for what is
	// no session's fault, which are refused and dropped datagrams and passing
	// errors of the socket, with a nil Session, on Serve's goroutine, which reads
	// nothing meanwhile. Refused and dropped datagrams are told at most once a
	// second for each cause, with the number of those that were not; [Stats]
	// counts all of them. May be nil.
	OnError func(*Session, error)

	// OnNewSessionRegister is called once for each session, before anything else.
	// May be nil.
	OnNewSessionRegister func(*Session)

	// OnSessionClosed is called once for each session, last, when no other
	// callback of the session runs any more. A Send from it still goes out, as a
	// last word, unless the socket is closed. May be nil.
	OnSessionClosed func(*Session, pool.Reason)

	// Logger is told of sessions that open (debug) and close (info), of crashed
	// callbacks, refused and dropped datagrams and errors of the socket (warn),
	// and of panics with their stack (error). The keys are remote, reason, idle,
	// age, datagrams, error, panic and stack; what a session sends is never
	// logged. It goes through pool.LimitLog. Nil means silent.
	Logger *slog.Logger

	// Set by start, before anything is served.
	logger                               *slog.Logger // Logger, limited; nil: silent
	maxSessions, maxDatagram, maxPending int
	maxPendingBytes                      int64
	maxCallbacks                         int
	socket                               *socket
	stopped                              chan struct{} // closed when Shutdown or Close begins
	drained                              chan struct{} // closed when nothing is left to wait for after that

	mu sync.Mutex
	// Guarded by mu.
	reading bool // Serve reads the socket
	active  int  // sessions whose OnSessionClosed has not returned
	perIP   map[netip.Addr]int

	turns turns

	sessions     atomic.Pointer[sessions] // set by start
	closing      atomic.Bool              // set under mu
	pendingBytes atomic.Int64
	counts       counts
	complaints   complaints // of Serve's goroutine
}

// sessions is the pool that a server keeps its sessions in.
type sessions = pool.Pool[netip.AddrPort, *transport]

// start makes the server ready to serve pc. The error names the field that is
// wrong.
func (srv *Server) start(pc net.PacketConn) error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closing.Load() {
		return ErrServerClosed
	}
	if srv.socket != nil {
		return ErrServing
	}
	if err := srv.setDefaults(); err != nil {
		return err
	}
	p, err := pool.New(pool.Config[netip.AddrPort, *transport]{
		IdleTimeout: cmp.Or(srv.IdleTimeout, defaultIdleTimeout),
		MaxLifetime: max(0, srv.MaxLifetime),
		OnDuplicate: pool.Replace, // of a session that is closing already
		Wheel:       srv.Wheel,
		OnPanic:     srv.logPanic,
	})
	if err != nil {
		return fmt.Errorf("udp: %w", err)
	}
	srv.socket = newSocket(pc)
	srv.stopped = make(chan struct{})
	srv.drained = make(chan struct{})
	srv.perIP = make(map[netip.Addr]int)
	srv.turns.work = srv.work
	srv.reading = true
	srv.sessions.Store(p)
	return nil
}

// setDefaults fills what start sets, and names the first field that is wrong.
func (srv *Server) setDefaults() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"MaxSessionsPerIP", srv.MaxSessionsPerIP},
		{"MaxDatagram", srv.MaxDatagram},
		{"MaxPending", srv.MaxPending},
		{"MaxPendingBytes", srv.MaxPendingBytes},
		{"MaxCallbacks", srv.MaxCallbacks},
	} {
		if f.value < 0 {
			return fmt.Errorf("udp: Server.%s is %d: use a positive number, or 0 for the default", f.name, f.value)
		}
	}
	if srv.MaxDatagram > defaultMaxDatagram {
		return fmt.Errorf("udp: Server.MaxDatagram is %d: use at most %d, which is all that UDP takes", srv.MaxDatagram, defaultMaxDatagram)
	}
	if srv.Activity > Sent {
		return fmt.Errorf("udp: Server.Activity is %d: use udp.ReceivedOrSent, udp.Received or udp.Sent", srv.Activity)
	}
	srv.logger = pool.LimitLog(srv.Logger)
	srv.maxSessions = cmp.Or(srv.MaxSessions, defaultMaxSessions)
	srv.maxDatagram = cmp.Or(srv.MaxDatagram, defaultMaxDatagram)
	srv.maxPending = cmp.Or(srv.MaxPending, defaultMaxPending)
	srv.maxPendingBytes = int64(cmp.Or(srv.MaxPendingBytes, defaultMaxPendingBytes))
	srv.maxCallbacks = cmp.Or(srv.MaxCallbacks, defaultMaxCallbacks)
	if least := pieces[classOf(srv.maxDatagram)]; srv.maxPendingBytes < int64(least) {
		return fmt.Errorf("udp: Server.MaxPendingBytes is %d: use at least %d, which a datagram of %d bytes takes, or 0 for %d",
			srv.MaxPendingBytes, least, srv.maxDatagram, defaultMaxPendingBytes)
	}
	return nil
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

// Session finds the open session of the peer with the given address; an IPv4
// address may also be written as an IPv6 one. A session is found from just
// before its OnNewSessionRegister until it is closed.
func (srv *Server) Session(addr netip.AddrPort) (*Session, bool) {
	p := srv.sessions.Load()
	if p == nil {
		return nil, false
	}
	ps, ok := p.Get(unmap(addr))
	if !ok {
		return nil, false
	}
	s := (*Session)(ps.Conn())
	return s, s.ps.Load() != nil
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
			if s.ps.Load() != nil && !yield(s) {
				return
			}
		}
	}
}
