package udp

import (
	"errors"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// ReasonPanic is the reason for closing a session whose callback panicked or called
// runtime.Goexit. The other reasons for which this package closes sessions are
// Timeout, Lifetime and Shutdown of package pool.
const ReasonPanic pool.Reason = "Panic"

// Errors that OnError, Send and Serve give, each matched with errors.Is. A
// session beyond Server.MaxSessions is pool.ErrFull.
var (
	ErrServerClosed  = errors.New("udp: the server is shut down")
	ErrServing       = errors.New("udp: the server has its socket already: use a Server for each")
	ErrSessionClosed = errors.New("udp: the session is closed")
	ErrTooManyFromIP = errors.New("udp: as many sessions from one address as Server.MaxSessionsPerIP allows")
	ErrTooLarge      = errors.New("udp: a datagram is over Server.MaxDatagram")
	ErrPendingFull   = errors.New("udp: as much is pending as Server.MaxPending or Server.MaxPendingBytes allows")
	ErrBadAddress    = errors.New("udp: a datagram's sender has no address to answer to")
	ErrRead          = errors.New("udp: reading failed")
	ErrWrite         = errors.New("udp: writing failed")
	ErrGoexit        = errors.New("udp: a callback called runtime.Goexit")
)

// PanicError is the error that OnError is given when a callback panicked. Its
// Value is what panic was called with, and its Stack is formatted as by
// runtime/debug.Stack. Error leaves the stack out; Unwrap returns Value if that
// is an error.
type PanicError = netserver.PanicError
