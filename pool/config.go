package pool

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// Reason says why a session was closed. Any text may be a reason.
type Reason string

// The reasons for which the pool itself closes sessions.
const (
	Timeout  Reason = "Timeout"  // there was no activity for the idle timeout
	Lifetime Reason = "Lifetime" // Config.MaxLifetime passed
	Replaced Reason = "Replaced" // another session took its ID
	Shutdown Reason = "Shutdown" // Pool.Shutdown was called
	Closed   Reason = "Closed"   // the session was closed with the empty reason
)

// orClosed returns r, or Closed if r is empty.
func (r Reason) orClosed() Reason {
	if r == "" {
		return Closed
	}
	return r
}

// Errors that Register and RegisterContext return, to be matched with errors.Is.
var (
	ErrDuplicateID = errors.New("pool: duplicate ID")   // a session has the ID, and Config.OnDuplicate is Reject
	ErrFull        = errors.New("pool: full")           // Config.MaxSessions is reached, or 65,536 replaced sessions have not ended
	ErrPoolClosed  = errors.New("pool: closed")         // Shutdown was called
	ErrNilConn     = errors.New("pool: nil connection") // the connection is nil
	ErrBadID       = errors.New("pool: invalid ID")     // the ID, such as NaN, does not equal itself and could not be found

	errNotActivated = errors.New("pool: Directory.Claim returned nil without calling activate")
)

// Duplicate says what Register does if another session has the ID.
type Duplicate uint8

const (
	Reject  Duplicate = iota // refuse the new session with ErrDuplicateID
	Replace                  // close the earlier session with the reason Replaced
)

const (
	defaultIdleTimeout = 5 * time.Minute

	// never is an idle timeout that does not come: 146 years, half of what a
	// time.Duration counts, so that adding it to the wheel's time does not
	// overflow.
	never = time.Duration(1 << 62)

	// maxReplacing bounds the sessions that were replaced and whose end is not
	// over, since each has a goroutine.
	maxReplacing = 65_536
)

// Config configures a [Pool]. The zero value is ready to use.
type Config[K comparable, C io.Closer] struct {
	// IdleTimeout is how long a session stays open without activity; it is then closed
	// with Timeout. 0 means 5 minutes; negative means that sessions do not time out.
	// Pool.SetIdleTimeout changes it.
	IdleTimeout time.Duration

	// MaxLifetime is how long a session may last, however active; it is then closed with
	// Lifetime. 0 and negative mean no limit.
	MaxLifetime time.Duration

	// MaxSessions is the maximum number of sessions in the pool. 0 and negative mean no
	// limit. A session counts until it leaves the pool, which happens before its
	// connection is closed.
	MaxSessions int

	// OnDuplicate says what happens when a second session with the same ID is
	// registered. The zero value is Reject.
	OnDuplicate Duplicate

	// Wheel holds the sessions' timers. If nil, the pool makes one and closes it in
	// Shutdown. Several pools may share a wheel. It must be closed after the pools: once
	// it is closed, no session times out.
	Wheel *wheel.Wheel

	// Directory coordinates the IDs of several pools. If nil, the pool does not
	// coordinate with other pools. See RegisterContext.
	Directory Directory[K]

	// OnNewSessionRegister is called once for each session, on the goroutine of Register
	// and before Register returns. The session is in the pool already. May be nil.
	OnNewSessionRegister func(*Session[K, C])

	// OnSessionClosed is called exactly once for each session that Register returned,
	// after its connection was closed and after OnNewSessionRegister has returned. See
	// the package comment for its goroutine. May be nil.
	OnSessionClosed func(*Session[K, C], Reason)

	// OnIdle is called IdleWarning before a session's idle timeout, so that its peer can
	// be asked to respond. From the call on, however late it is, the session has
	// IdleWarning left, unless it is touched. OnIdle is called once per period of
	// idleness, on a goroutine of the wheel, and not while the session is held. If the
	// session is closed at the same moment, OnIdle may be called after OnSessionClosed.
	// May be nil.
	OnIdle func(*Session[K, C])

	// IdleWarning is how long before the idle timeout OnIdle is called. 0 means half of
	// the idle timeout, which is also the maximum; negative means that OnIdle is not
	// called.
	IdleWarning time.Duration

	// OnPanic is called when OnNewSessionRegister, OnSessionClosed, OnIdle, the
	// Logger, a connection's Close or the Directory's Release panics, on the same
	// goroutine. Its arguments are the panic's value and the stack as formatted by
	// runtime/debug.Stack. The session continues as if the call had returned. If nil, the
	// panic is not recovered; on a goroutine of the wheel or the pool it ends the process.
	OnPanic func(v any, stack []byte)

	// Logger receives sessions that are registered (debug), refused (warn) and closed
	// (info, before OnSessionClosed). The keys are session, which is the ID, remote,
	// reason, idle, age and error. Records pass through LimitLog. If nil, nothing is
	// logged.
	Logger *slog.Logger
}

// withDefaults fills in what is zero, and names the first field that is wrong.
func (c Config[K, C]) withDefaults() (Config[K, C], error) {
	c.IdleTimeout = orDefault(c.IdleTimeout, defaultIdleTimeout)
	c.MaxLifetime = min(c.MaxLifetime, never)
	if c.OnDuplicate > Replace {
		return c, fmt.Errorf("pool: Config.OnDuplicate is %d: use pool.Reject or pool.Replace", c.OnDuplicate)
	}
	return c, nil
}

// warning is how long a session with the given idle timeout has left when OnIdle is
// called: IdleWarning, but at most half of the idle timeout. It is 0 if OnIdle is
// not to be called.
func (c *Config[K, C]) warning(idle time.Duration) time.Duration {
	switch {
	case c.OnIdle == nil || c.IdleWarning < 0:
		return 0
	case c.IdleWarning == 0:
		return idle / 2
	default:
		return min(c.IdleWarning, idle/2)
	}
}
