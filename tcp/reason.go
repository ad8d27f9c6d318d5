package tcp

import (
	"errors"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// The reasons that this package closes sessions for, beside those of package
// pool: Timeout, Lifetime and Shutdown.
const (
	ReasonEOF          pool.Reason = "EOF"          // the peer closed, or Split ended the stream with bufio.ErrFinalToken
	ReasonError        pool.Reason = "Error"        // reading or writing failed
	ReasonTooLarge     pool.Reason = "TooLarge"     // a frame over Server.MaxFrame
	ReasonBadFrame     pool.Reason = "BadFrame"     // Split returned an error
	ReasonFrameTimeout pool.Reason = "FrameTimeout" // a frame was not whole within Server.FrameTimeout
	ReasonSlow         pool.Reason = "Slow"         // the peer did not read for Server.WriteTimeout
	ReasonPanic        pool.Reason = "Panic"        // a callback or Split panicked, or called runtime.Goexit
	ReasonHandshake    pool.Reason = "Handshake"    // the TLS handshake failed or took longer than Server.HandshakeTimeout
)

// Errors that OnError, Send and Serve give, each matched with errors.Is.
var (
	ErrServerClosed  = errors.New("tcp: the server is shut down")
	ErrSessionClosed = errors.New("tcp: the session is closed")
	ErrBound         = errors.New("tcp: the session is bound to an ID already")
	ErrTooManyFromIP = errors.New("tcp: as many sessions from one address as Server.MaxSessionsPerIP allows")
	ErrRead          = errors.New("tcp: reading failed")
	ErrWrite         = errors.New("tcp: writing failed")
	ErrTooLarge      = errors.New("tcp: a frame is over Server.MaxFrame")
	ErrBadFrame      = errors.New("tcp: the input is no frame")
	ErrFrameTimeout  = errors.New("tcp: a frame was not whole within Server.FrameTimeout")
	ErrSlow          = errors.New("tcp: the peer did not read for Server.WriteTimeout")
	ErrHandshake     = errors.New("tcp: the TLS handshake failed")
	ErrGoexit        = errors.New("tcp: a callback called runtime.Goexit")
)

// PanicError is the error that OnError is given when a callback or Split panicked. Its
// Value is what panic was called with, and its Stack is formatted as by
// runtime/debug.Stack. Error leaves the stack out; Unwrap returns Value if that
// is an error.
type PanicError = netserver.PanicError

// fault is why a session's loop ends.
type fault struct {
	reason pool.Reason
	err    error // nil: nothing for OnError
}

var (
	// over means that somebody else has closed the session.
	over = &fault{}
	eof  = &fault{reason: ReasonEOF}
)

// hasFarewell reports whether a session closed for r still sends what it has for
// its peer: the rest of its queue, and the farewell of TLS.
func hasFarewell(r pool.Reason) bool {
	switch r {
	case pool.Timeout, pool.Lifetime, ReasonSlow, ReasonFrameTimeout, ReasonError, ReasonHandshake:
		return false
	default:
		return true
	}
}
