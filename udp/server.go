package udp

import (
	"cmp"
	"fmt"
	"iter"
	"log/slog"
	"math"
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
	defaultIdleTimeout     = time.Minute
	defaultMaxSessions     = 65_536
	defaultMaxDatagram     = 65_535 // UDP's field for the length has no room for more
	defaultMaxPending      = 64
	defaultMaxPendingBytes = 64 << 20
	defaultMaxCallbacks    = 256
	defaultDrainTimeout    = 10 * time.Second
)

// Activity says what counts as activity on a session and restarts its idle
// timeout.
type Activity uint8

// The kinds of activity. While a datagram is pending or OnMessage is running, a
// session does not time out, and a received datagram counts a second time when it
// has been handled. A datagram dropped with ErrPendingFull counts as received; one
// dropped with ErrTooLarge does not. With Sent, a session to which nothing was sent
// for the idle timeout is closed when OnMessage returns, however much its peer sends.
const (
	ReceivedOrSent Activity = iota // a received datagram, and a successful Send
	Received                       // a received datagram
	Sent                           // a successful Send
)

// Server serves one UDP socket. The zero value is ready to use. Its fields must not
// change after Serve, ListenAndServe or Run was called, and it must not be copied from
// then on. It holds goroutines and sessions until [Server.Shutdown] or
// [Server.Close].
//
// All its methods may be called from any goroutine.
type Server struct {
	// Addr is the address on which ListenAndServe listens, and Run without a socket, as
	// "host:port". Serve ignores it. On a machine with several addresses, name one of them:
	// a reply from a socket that is bound to all addresses may leave from another address
	// than the one the peer sent to.
	Addr string

	// IdleTimeout is how long a session stays open without activity; it is then
	// closed with pool.Timeout. 0 means 1 minute. Negative means that sessions do
	// not time out, which is unwise where source addresses can be spoofed. Use
	// SetIdleTimeout to change it while the server serves.
	IdleTimeout time.Duration

	// MaxLifetime is how long a session may last, however active; it is then closed
	// with pool.Lifetime. 0 and negative mean no limit.
	MaxLifetime time.Duration

	// DrainTimeout is how long Run waits at the end for callbacks to return. 0 means 10
	// seconds; negative means no limit. Shutdown has its context instead.
	DrainTimeout time.Duration

	// Activity says what restarts the idle timeout. The zero value is
	// ReceivedOrSent.
	Activity Activity

	// Wheel holds the sessions' timers. If nil, the server makes one, and closes it
	// in Shutdown and Close. Several servers and other timers may share a wheel. It
	// must be closed after the servers: once it is closed, no session times out.
	Wheel *wheel.Wheel

	// MaxSessions is the maximum number of sessions, including those whose
	// OnSessionClosed has not returned. 0 means 65,536, for which an idle server
	// takes 23 MB. Negative means no limit: senders of spoofed datagrams then
	// determine how much memory the server takes. A datagram that would begin a
	// session beyond the limit is dropped and reported to OnError as pool.ErrFull.
	// No session is closed to make room.
	MaxSessions int

	// MaxSessionsPerIP is the maximum number of sessions from one IPv4 address or
	// one IPv6 /64 network. 0 and negative mean no limit. A datagram that
	// would begin a session beyond the limit is dropped and reported to OnError as
	// ErrTooManyFromIP. A session counts until just before its OnSessionClosed, or
	// until another takes its address by Rebind.
	MaxSessionsPerIP int

	// MaxDatagram is the maximum length of a received datagram, in bytes. 0 means
	// 65,535, the maximum of UDP; more than that and negative are errors. A longer
	// datagram is dropped and reported to OnError as ErrTooLarge; it neither begins
	// nor closes a session.
	MaxDatagram int

	// MaxPending is the maximum number of datagrams of one session that wait while
	// another one is handled. 0 means 64; negative means no limit. Datagrams beyond
	// it are dropped and reported to OnError as ErrPendingFull.
	MaxPending int

	// MaxPendingBytes is the maximum memory for the pending datagrams of all
	// sessions together, in bytes. A datagram takes a buffer of 512 bytes, 2, 8 or
	// 64 KiB, the smallest that holds it. 0 means 64 MiB; negative is an error, and
	// so is less than the buffer for a datagram of MaxDatagram bytes. Datagrams
	// beyond it are dropped and reported to OnError as ErrPendingFull.
	MaxPendingBytes int

	// MaxCallbacks is the maximum number of sessions whose callbacks run at the same
	// time, each on a goroutine of its own. 0 means 256; negative means no limit.
	MaxCallbacks int

	// Admit decides about a datagram from an address that has no session, so that a
	// protocol can demand a proof of the address before it holds anything for it: for
	// example a cookie that was sent there. If ok is true, the datagram begins a
	// session, within the limits; if not, it is dropped and counted in
	// Stats.NotAdmitted. In either case a reply that is not nil is sent to the
	// address, at once and without a session. It should not be longer than the
	// datagram. If Admit calls Rebind on a session with the address, the datagram
	// goes to that session.
	//
	// Admit is called on the goroutine that reads, one call at a time, and nothing is
	// read until it has returned and the reply is sent, so it must be fast. The slice
	// is valid during the call only. The reply may be part of it, and is not used
	// after it was sent. If Admit panics or calls runtime.Goexit, that is reported to
	// OnError, at most once a second as dropped datagrams are, and the datagram is
	// not admitted. If nil, every datagram is admitted.
	Admit func(from netip.AddrPort, p []byte) (reply []byte, ok bool)

	// OnMessage is called for each datagram, including empty ones, and for those of
	// one session in the order of arrival. The slice is valid during the call only.
	// The session does not time out during the call. If nil, datagrams are read
	// and dropped.
	OnMessage func(*Session, []byte)

	// OnError is called with an error. If a callback of a session crashed, it is
	// called with that session, after the session was closed and, if the callback was
	// not Farewell or OnSessionClosed, before those. For refused and dropped datagrams
	// and temporary errors of the socket it is called with a nil Session, on a
	// goroutine of its own, and Serve reads nothing until it returns. Refused and
	// dropped datagrams are reported at most once a second for each cause, with the
	// number of those not reported; [Stats] counts them all. May be nil.
	OnError func(*Session, error)

	// OnNewSessionRegister is called once for each session, before any other
	// callback. May be nil.
	OnNewSessionRegister func(*Session)

	// OnIdle is called IdleWarning before a session's idle timeout, so that its peer
	// can be asked for a sign of life. It is one of the session's serial callbacks. It
	// is called once per period of idleness, and not if a datagram arrives before the
	// call, unless Activity is Sent; nor while the session is held, nor after Shutdown
	// has begun. The session does not time out before OnIdle has returned. If that is
	// so late that the idle timeout has passed by then, the session gets a full one
	// from then, or, if Activity is Sent, is closed unless OnIdle has sent something.
	// May be nil.
	OnIdle func(*Session)

	// IdleWarning is how long before the idle timeout OnIdle is called. 0 means half
	// of the idle timeout, which is also the maximum; negative means that OnIdle is
	// not called.
	IdleWarning time.Duration

	// Farewell returns a last datagram for a session that ends, to tell its peer why;
	// nil means that none is sent. It is one of the session's serial callbacks, and is
	// called once, before OnSessionClosed, for every reason except ReasonPanic: also
	// when Session.Close was called. The server does not keep the slice. If the
	// datagram cannot be sent, OnError is called with the session and an error that
	// wraps ErrWrite, unless the socket is closed, as it is after Server.Close. A new
	// session of the same address may have begun by then. May be nil.
	Farewell func(*Session, pool.Reason) []byte

	// OnSessionClosed is called once for each session, when no other callback of
	// the session is running or will run. Session.Send still works in it, unless
	// the socket is closed. May be nil.
	OnSessionClosed func(*Session, pool.Reason)

	// Label names a session for people, for example by the user's name. The dashboard
	// and the program's top show it beside the ID. It is called often, on other
	// goroutines than the session's and on several at the same time, so it must be
	// fast. See [Session.Label]. May be nil.
	Label func(*Session) string

	// Logger receives sessions that open (debug) and close (info), crashed
	// callbacks, refused and dropped datagrams and errors of the socket (warn), and
	// panics with their stack (error). The keys are remote, reason, idle, age,
	// datagrams, error, panic and stack. The content of datagrams is never logged.
	// Records pass through pool.LimitLog. If nil, nothing is logged.
	Logger *slog.Logger

	// Set by start, immutable afterwards.
	logger                               *slog.Logger // Logger through pool.LimitLog; nil if Logger is
	maxSessions, maxDatagram, maxPending int
	maxPendingBytes                      int64
	maxCallbacks                         int
	socket                               *socket
	own                                  ownAddresses
	stopped                              chan struct{} // closed when Shutdown or Close begins
	drained                              chan struct{} // closed after that, when Serve and all sessions have ended

	mu sync.Mutex
	// Guarded by mu.
	reading bool // Serve is reading the socket
	active  int  // sessions whose OnSessionClosed has not returned

	addresses addresses
	runQueue  runQueue
	ends      netserver.Ends[*Session]

	sessions     atomic.Pointer[sessions] // set by start
	closing      atomic.Bool              // set under mu
	lastID       atomic.Uint64
	pendingBytes atomic.Int64
	counts       counts
	reports      reports // used by the goroutine that reads only
}

// The types of the pool that holds a server's sessions. Since a session's address may
// change, its ID there is a number; addresses finds sessions.
type (
	poolID      = uint64
	sessions    = pool.Pool[poolID, *transport]
	poolSession = pool.Session[poolID, *transport]
)

// start prepares the server to serve pc. It returns ErrServerClosed, ErrServing, or
// an error that names the invalid field.
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
	c := pool.Config[poolID, *transport]{
		IdleTimeout: cmp.Or(srv.IdleTimeout, defaultIdleTimeout),
		IdleWarning: srv.IdleWarning,
		MaxLifetime: max(0, srv.MaxLifetime),
		Wheel:       srv.Wheel,
		OnPanic:     srv.logPanic,
	}
	if srv.OnIdle != nil {
		c.OnIdle = func(ps *poolSession) { (*Session)(ps.Conn()).warn(ps) }
	}
	p, err := pool.New(c)
	if err != nil {
		return fmt.Errorf("udp: %w", err)
	}
	srv.socket = newSocket(pc)
	srv.own.local = localAddress(pc)
	srv.stopped = make(chan struct{})
	srv.drained = make(chan struct{})
	srv.addresses.init(srv.MaxSessionsPerIP)
	srv.runQueue.work = srv.work
	srv.reading = true
	srv.sessions.Store(p)
	return nil
}

// setDefaults sets the fields that derive from exported ones. The error names the
// first invalid field.
func (srv *Server) setDefaults() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"MaxDatagram", srv.MaxDatagram},
		{"MaxPendingBytes", srv.MaxPendingBytes},
	} {
		if f.value < 0 {
			return fmt.Errorf("udp: Server.%s is %d: use a positive number, or 0 for the default", f.name, f.value)
		}
	}
	if srv.MaxDatagram > defaultMaxDatagram {
		return fmt.Errorf("udp: Server.MaxDatagram is %d: use at most %d, the maximum of UDP", srv.MaxDatagram, defaultMaxDatagram)
	}
	if srv.Activity > Sent {
		return fmt.Errorf("udp: Server.Activity is %d: use udp.ReceivedOrSent, udp.Received or udp.Sent", srv.Activity)
	}
	srv.logger = pool.LimitLog(srv.Logger)
	srv.maxSessions = cmp.Or(srv.MaxSessions, defaultMaxSessions)
	srv.maxDatagram = cmp.Or(srv.MaxDatagram, defaultMaxDatagram)
	srv.maxPending = limit(srv.MaxPending, defaultMaxPending)
	srv.maxPendingBytes = int64(cmp.Or(srv.MaxPendingBytes, defaultMaxPendingBytes))
	srv.maxCallbacks = limit(srv.MaxCallbacks, defaultMaxCallbacks)
	if least := bufferSizes[sizeClass(srv.maxDatagram)]; srv.maxPendingBytes < int64(least) {
		return fmt.Errorf("udp: Server.MaxPendingBytes is %d: use at least %d, the buffer of a datagram of %d bytes, or 0 for %d",
			srv.MaxPendingBytes, least, srv.maxDatagram, defaultMaxPendingBytes)
	}
	return nil
}

// SetIdleTimeout changes the idle timeout of new sessions and of all open sessions
// without one of their own, counted from their last activity. 0 and negative mean the
// same as in IdleTimeout. Before the server serves, SetIdleTimeout sets that field.
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

// Session returns the open session of the peer with the given address; an IPv4
// address may be in its IPv6-mapped form. A session is found from when its
// OnNewSessionRegister has returned until it is closed.
func (srv *Server) Session(addr netip.AddrPort) (*Session, bool) {
	if srv.sessions.Load() == nil {
		return nil, false
	}
	s := srv.addresses.find(unmap(addr))
	if s == nil || !s.isShown() || s.Reason() != "" {
		return nil, false
	}
	return s, true
}

// Sessions returns an iterator over the open sessions whose OnNewSessionRegister has
// returned, so that what it stored with SetValue is there, in no particular order. A
// session that opens or closes during the iteration may or may not be included. No
// lock is held while the loop body runs.
func (srv *Server) Sessions() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		p := srv.sessions.Load()
		if p == nil {
			return
		}
		for _, ps := range p.All() {
			s := (*Session)(ps.Conn())
			if s.isShown() && !yield(s) {
				return
			}
		}
	}
}

// limit returns n if it is positive, byDefault if it is 0, and math.MaxInt, which means no
// limit, if it is negative.
func limit(n, byDefault int) int {
	if n < 0 {
		return math.MaxInt
	}
	return cmp.Or(n, byDefault)
}
