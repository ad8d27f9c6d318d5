package udp

import (
	"errors"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// ReasonPanic is the reason for closing a session whose callback panicked or called
// runtime.Goexit. The other reasons for which this package closes sessions are
// Timeout, Lifetime, Replaced and Shutdown of package pool.
const ReasonPanic pool.Reason = "Panic"

// Errors of this package, to be matched with errors.Is. Methods return them, and OnError
// is called with errors that wrap them. For a session beyond Server.MaxSessions that is
// pool.ErrFull.
var (
	ErrServerClosed  = errors.New("udp: server closed")                      // Shutdown or Close was called
	ErrServing       = errors.New("udp: already serving")                    // a Server has one socket
	ErrSessionClosed = errors.New("udp: session closed")                     // the session is closed
	ErrTooManyFromIP = errors.New("udp: too many sessions from one address") // Server.MaxSessionsPerIP is reached
	ErrTooLarge      = errors.New("udp: datagram too large")                 // more than Server.MaxDatagram
	ErrPendingFull   = errors.New("udp: too many pending datagrams")         // Server.MaxPending or Server.MaxPendingBytes is reached
	ErrBadAddress    = errors.New("udp: invalid sender address")             // no IP address that a peer can have, or port 0
	ErrOwnAddress    = errors.New("udp: the server's own address")           // a datagram from there is forged
	ErrRead          = errors.New("udp: read failed")
	ErrWrite         = errors.New("udp: write failed")
	ErrGoexit        = errors.New("udp: callback called runtime.Goexit")
)

// PanicError is the error that OnError is given when a callback panicked. Its
// Value is what panic was called with, and its Stack is formatted as by
// runtime/debug.Stack. Error leaves the stack out; Unwrap returns Value if that
// is an error.
type PanicError = netserver.PanicError
