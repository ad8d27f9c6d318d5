package tcp

import (
	"errors"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// The reasons for which this package closes sessions, besides Timeout, Lifetime, Shutdown
// and Replaced of package pool.
const (
	// ReasonEOF means that the peer closed its side, or reset the connection before its
	// first byte, or that Split returned bufio.ErrFinalToken.
	ReasonEOF pool.Reason = "EOF"

	ReasonError        pool.Reason = "Error"        // reading or writing failed
	ReasonTooLarge     pool.Reason = "TooLarge"     // a frame was longer than Server.MaxFrame or than Split allows
	ReasonBadFrame     pool.Reason = "BadFrame"     // Split returned an error
	ReasonFrameTimeout pool.Reason = "FrameTimeout" // a frame was not complete within Server.FrameTimeout
	ReasonSlow         pool.Reason = "Slow"         // the peer did not read for Server.WriteTimeout, or Server.MaxOutbound was reached
	ReasonPanic        pool.Reason = "Panic"        // a callback or Split panicked, or called runtime.Goexit
	ReasonOverload     pool.Reason = "Overload"     // Server.MaxPendingBytes or Server.MaxHandshakes was reached
	ReasonHandshake    pool.Reason = "Handshake"    // the TLS handshake failed or took longer than Server.HandshakeTimeout
)

// Errors of this package, to be matched with errors.Is. Methods return them, and OnError
// is called with errors that wrap them. For a connection beyond Server.MaxSessions that
// is pool.ErrFull.
var (
	ErrServerClosed  = errors.New("tcp: server closed")         // Shutdown or Close was called
	ErrSessionClosed = errors.New("tcp: session closed")        // the session is closed
	ErrBound         = errors.New("tcp: session already bound") // the session has an ID by Bind
	ErrEmptyID       = errors.New("tcp: empty ID: give Bind the name of the session's user, or do not call it")
	ErrPeerGone      = errors.New("tcp: peer has gone")                      // the peer closed the connection, or its side of it, while Bind waited
	ErrTooManyFromIP = errors.New("tcp: too many sessions from one address") // Server.MaxSessionsPerIP is reached
	ErrRead          = errors.New("tcp: read failed")
	ErrWrite         = errors.New("tcp: write failed")
	ErrTooLarge      = errors.New("tcp: frame too large")      // more than Server.MaxFrame, or Split's error wraps bufio.ErrTooLong
	ErrBadFrame      = errors.New("tcp: bad frame")            // Split returned an error
	ErrFrameTimeout  = errors.New("tcp: frame timeout")        // a frame was incomplete for Server.FrameTimeout
	ErrSlow          = errors.New("tcp: slow peer")            // the peer did not read for Server.WriteTimeout, or Server.MaxOutbound was reached
	ErrOverflow      = errors.New("tcp: overflow")             // Post would exceed Server.MaxOutbound, and Server.Overflow is DropNewest; or p alone does
	ErrOverload      = errors.New("tcp: overload")             // Server.MaxPendingBytes or Server.MaxHandshakes is reached
	ErrPendingInput  = errors.New("tcp: pending input")        // StartTLS: the peer has sent more than its request
	ErrSecure        = errors.New("tcp: TLS already")          // StartTLS: the session has TLS
	ErrHandshake     = errors.New("tcp: TLS handshake failed") // or it took longer than Server.HandshakeTimeout
	ErrGoexit        = errors.New("tcp: callback called runtime.Goexit")

	ErrFrameMarker  = errors.New("tcp: missing frame marker") // ScanFrames found no '$' or '#'
	ErrBodyTooLarge = errors.New("tcp: frame body too large") // AppendFrame was given more than 65,535 bytes

	errNilConfig  = errors.New("tcp: StartTLS needs a config: one with a certificate")
	errAdvance    = errors.New("tcp: Split advanced by a negative count or beyond its input")
	errNoProgress = errors.New("tcp: Split returned too many tokens without advancing")
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
