package tcp

import (
	"net"

	"github.com/sessionwheel/sessionwheel/pool"
)

// RecentlyClosed returns the sessions that closed last, as
// [pool.Pool.RecentlyClosed] says; also those whose TLS handshake failed. It
// returns none before the server serves.
func (srv *Server) RecentlyClosed() []pool.ClosedSession[int64] {
	p := srv.sessions.Load()
	if p == nil {
		return nil
	}
	return p.RecentlyClosed()
}

// RemoteAddr is how the pool learns the address of a session that has closed.
func (t *transport) RemoteAddr() net.Addr { return t.conn.RemoteAddr() }
