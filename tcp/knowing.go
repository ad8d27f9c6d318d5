package tcp

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// Context returns a context for work on behalf of the session. It is canceled when the
// session begins to close: when its reason is fixed, and before its connection is closed. Its
// cause is a [*pool.ClosedError]. A callback that may take long, and a goroutine that works
// for the session, should watch it: nothing else tells them that the session has ended. The
// first call makes the context, and later calls return the same.
func (s *Session) Context() context.Context { return s.ps.Context() }

// Done returns a channel that is closed when the session's last callback has returned and its
// ID of Bind is free. It must not be waited for in a callback of the session. To learn that
// the session begins to close, use Context.
func (s *Session) Done() <-chan struct{} { return s.server.ends.Done(s, &s.over) }

// Reason returns the reason for which the session was closed, or "" while it is open.
func (s *Session) Reason() pool.Reason { return s.ps.Reason() }

// ConnectionState returns the state of the session's TLS connection. It reports false if the
// session has none or its handshake has not succeeded. The connection is found under
// Server.TLSConfig, after StartTLS, with a listener of package tls, and beneath connections
// that have a method NetConn() net.Conn. It is there from OnNewSessionRegister on, even after
// the end of the session.
func (s *Session) ConnectionState() (state tls.ConnectionState, ok bool) {
	if !s.marks.has(markSecured) { // TLS would have us wait for its handshake
		return tls.ConnectionState{}, false
	}
	return tlsConn(s.stream()).ConnectionState(), true
}

// Label returns what Server.Label returns for the session, as valid UTF-8 of at most 256
// bytes. It returns "" if there is no such callback or if it panics, which is logged.
func (s *Session) Label() string { return netserver.Label(s, s.server.Label, s.server.logPanic) }

// tlsConn returns the TLS connection that conn is or wraps, or nil if there is none.
func tlsConn(conn net.Conn) (tc *tls.Conn) {
	eachLayer(conn, func(c net.Conn) (found bool) {
		tc, found = c.(*tls.Conn)
		return found
	})
	return tc
}
