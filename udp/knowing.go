package udp

import (
	"context"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// Context returns a context for work on behalf of the session. It is canceled when
// the session begins to close, and its cause is a [*pool.ClosedError]. A callback
// that may take long, and a goroutine that works for the session, should watch it:
// nothing else tells them that the session has ended. The first call makes the
// context, and later calls return the same.
func (s *Session) Context() context.Context { return s.ps.Load().Context() }

// Done returns a channel that is closed when the session's last callback has
// returned. It must not be waited for in a callback of the session. To learn that
// the session begins to close, use Context.
func (s *Session) Done() <-chan struct{} { return s.server.ends.Done(s, &s.over) }

// Reason returns the reason for which the session was closed, or "" while it is
// open.
func (s *Session) Reason() pool.Reason { return s.ps.Load().Reason() }

// Label returns what Server.Label returns for the session, as valid UTF-8 of at most
// 256 bytes. It returns "" if there is no such callback or if it panics, which is
// logged.
func (s *Session) Label() string { return netserver.Label(s, s.server.Label, s.server.logPanic) }
