package main

import (
	"context"
	"errors"
	"net"

	"github.com/coder/websocket"

	"github.com/sessionwheel/sessionwheel/pool"
)

// The chat's own reasons beside the pool's. A browser finds them in its close
// event.
const (
	left     pool.Reason = "Left"     // the peer closed
	lost     pool.Reason = "Lost"     // the connection broke
	slow     pool.Reason = "Slow"     // the peer did not take what it was sent
	tooLarge pool.Reason = "TooLarge" // a message of more than maxMessage
	notText  pool.Reason = "NotText"  // a message that is not UTF-8 text
	full     pool.Reason = "Full"     // there are maxSessions already
)

// closeCode is the WebSocket's status code for a reason.
func closeCode(r pool.Reason) websocket.StatusCode {
	switch r {
	case left:
		return websocket.StatusNormalClosure
	case pool.Shutdown:
		return websocket.StatusGoingAway
	case notText:
		return websocket.StatusUnsupportedData
	case tooLarge:
		return websocket.StatusMessageTooBig
	case full:
		return websocket.StatusTryAgainLater
	default:
		return websocket.StatusPolicyViolation
	}
}

// reasonOf is the reason to close a session for after an error of Register, a
// read or a write. A WebSocket that is closed already, though the session was
// not, was cut by a write that took too long.
func reasonOf(err error) pool.Reason {
	switch {
	case errors.Is(err, pool.ErrFull):
		return full
	case errors.Is(err, pool.ErrPoolClosed):
		return pool.Shutdown
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, net.ErrClosed):
		return slow
	case websocket.CloseStatus(err) != -1:
		return left
	default:
		return lost
	}
}
