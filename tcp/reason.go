package tcp

import (
	"errors"
	"fmt"

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

// PanicError is what OnError is given when a callback or Split panicked.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // as runtime/debug.Stack formats it
}

// Error names the panic's value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("tcp: a callback panicked: %v", e.Value) }

// Unwrap returns the panic's value if that is an error, and nil otherwise.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

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
