package udp

import (
	"net/netip"

	"github.com/sessionwheel/sessionwheel/pool"
)

// RecentlyClosed returns the sessions that were closed last, by the addresses that
// they had then. See [pool.Pool.RecentlyClosed]. Before the server serves, it returns
// nil.
func (srv *Server) RecentlyClosed() []pool.ClosedSession[netip.AddrPort] {
	p := srv.sessions.Load()
	if p == nil {
		return nil
	}
	var all []pool.ClosedSession[netip.AddrPort]
	for _, c := range p.RecentlyClosed() {
		addr, _ := netip.ParseAddrPort(c.Address) // it is transport.RemoteAddr's
		all = append(all, pool.ClosedSession[netip.AddrPort]{ID: addr, Address: c.Address, Reason: c.Reason, At: c.At, Late: c.Late})
	}
	return all
}
