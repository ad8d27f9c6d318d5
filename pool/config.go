package pool

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// Reason says why a session was closed. Any text may be one; these are the
// pool's own.
type Reason string

// The reasons that the pool itself closes sessions for.
const (
	Timeout  Reason = "Timeout"  // nothing happened for the idle timeout
	Lifetime Reason = "Lifetime" // Config.MaxLifetime passed
	Replaced Reason = "Replaced" // another session took its ID
	Shutdown Reason = "Shutdown" // the pool was closed
	Closed   Reason = "Closed"   // what "" becomes, wherever it is given
)

// orClosed is what a caller's reason stands for.
func (r Reason) orClosed() Reason {
	if r == "" {
		return Closed
	}
	return r
}

// Errors that Register and RegisterContext return, to be matched with errors.Is.
var (
	ErrDuplicateID = errors.New("pool: duplicate ID")   // a session has the ID, and Config.OnDuplicate is Reject
	ErrFull        = errors.New("pool: full")           // Config.MaxSessions sessions are registered
	ErrPoolClosed  = errors.New("pool: closed")         // Shutdown was called
	ErrNilConn     = errors.New("pool: nil connection") // the connection is nil
	ErrBadID       = errors.New("pool: invalid ID")     // the ID, such as NaN, does not equal itself and could not be found

	errNotActivated = errors.New("pool: Directory.Claim returned nil without calling activate")
)

// Duplicate says what Register does when the ID is taken.
type Duplicate uint8

const (
	Reject  Duplicate = iota // refuse the new session with ErrDuplicateID
	Replace                  // close the old one with the reason Replaced
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

// Config says how a [Pool] works. The zero value is a good one.
type Config[K comparable, C io.Closer] struct {
	// IdleTimeout is how long a session may go without activity. 0 means 5
	// minutes; negative means no limit. Pool.SetIdleTimeout changes it.
	IdleTimeout time.Duration

	// MaxLifetime is how long a session may last, however active. 0 is the
	// default, and negative: no limit.
	MaxLifetime time.Duration

	// MaxSessions is how many sessions there may be at once. 0 is the default, and
	// negative: no limit. A session counts until it leaves the pool, which it does
	// before its connection is closed.
	MaxSessions int

	// OnDuplicate says what happens to a second session with the same ID.
	OnDuplicate Duplicate

	// Wheel keeps the timers. Nil means that the pool makes a wheel of its own
	// and closes it in Shutdown. Several pools may share one, which must outlive
	// them: once it is closed, nothing times out.
	Wheel *wheel.Wheel

	// Directory decides who owns an ID where there are more pools than this one. Nil
	// means that this pool is the whole world. See RegisterContext.
	Directory Directory[K]

	// OnNewSessionRegister is called once for each session, on the goroutine of
	// Register and before it returns. The session is in the pool already. May be
	// nil.
	OnNewSessionRegister func(*Session[K, C])

	// OnSessionClosed is called exactly once for each session that Register
	// returned, after its connection was closed and after OnNewSessionRegister
	// has returned. See the package's comment for the goroutine. May be nil.
	OnSessionClosed func(*Session[K, C], Reason)

	// OnIdle is called when a session has been without activity for its idle
	// timeout less IdleWarning, so that its peer can be asked for a sign of life.
	// From then on it has IdleWarning left, unless it is touched, however late the
	// call was. It is called once for each stretch of idleness, not while the
	// session is held, and on a goroutine of the wheel's. A session that is closed
	// at that moment may be told after its OnSessionClosed. May be nil.
	OnIdle func(*Session[K, C])

	// IdleWarning is how long before the idle timeout OnIdle is called. 0 means
	// half of the idle timeout, which is also the most; negative means that OnIdle
	// is not called.
	IdleWarning time.Duration

	// OnPanic is called when OnNewSessionRegister, OnSessionClosed, OnIdle or a
	// connection's Close panics, on the same goroutine, with the panic's value
	// and the stack as runtime/debug.Stack formats it. The session goes on as if
	// the call had returned. Nil means that the panic goes on; where that is a
	// goroutine of the wheel's or the pool's, it ends the process.
	OnPanic func(v any, stack []byte)

	// Logger is told of sessions that are registered (debug), refused (warn) and
	// closed (info), the latter before OnSessionClosed. The keys are session, which
	// is the ID, remote, reason, idle, age and error. It goes through LimitLog. Nil
	// means silent.
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
