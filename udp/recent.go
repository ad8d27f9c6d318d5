package udp

import (
	"net/netip"

	"github.com/sessionwheel/sessionwheel/pool"
)

// RecentlyClosed returns the sessions that were closed last. See
// [pool.Pool.RecentlyClosed]. Before the server serves, it returns nil.
func (srv *Server) RecentlyClosed() []pool.ClosedSession[netip.AddrPort] {
	p := srv.sessions.Load()
	if p == nil {
		return nil
	}
	all := p.RecentlyClosed()
	for i := range all {
		all[i].Address = all[i].ID.String() // the pool does not know that the ID is an address
	}
	return all
}
