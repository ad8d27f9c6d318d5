package udp

import (
	"net/netip"

	"github.com/sessionwheel/sessionwheel/pool"
)

// RecentlyClosed returns the sessions that closed last, as
// [pool.Pool.RecentlyClosed] says. It returns none before the server serves.
func (srv *Server) RecentlyClosed() []pool.ClosedSession[netip.AddrPort] {
	p := srv.sessions.Load()
	if p == nil {
		return nil
	}
	all := p.RecentlyClosed()
	for i := range all {
		all[i].Address = all[i].ID.String() // which the pool does not know to be one
	}
	return all
}
