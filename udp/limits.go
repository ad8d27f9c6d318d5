package udp

import (
	"net/netip"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// enter counts a session from ip, unless the server is closing or a limit
// forbids it.
func (srv *Server) enter(ip netip.Addr) error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.closing.Load():
		return ErrServerClosed
	case srv.maxSessions > 0 && srv.active >= srv.maxSessions:
		return pool.ErrFull
	}
	if srv.MaxSessionsPerIP > 0 {
		network := netserver.Network(ip)
		if srv.perIP[network] >= srv.MaxSessionsPerIP {
			return ErrTooManyFromIP
		}
		srv.perIP[network]++
	}
	srv.active++
	return nil
}

// releaseIP forgets a session from ip.
func (srv *Server) releaseIP(ip netip.Addr) {
	if srv.MaxSessionsPerIP == 0 {
		return
	}
	network := netserver.Network(ip)
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.perIP[network]--; srv.perIP[network] <= 0 {
		delete(srv.perIP, network)
	}
}

// leave counts a session that has ended.
func (srv *Server) leave() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.active--
	srv.checkDrainedLocked()
}

// readEnded notes that Serve returns.
func (srv *Server) readEnded() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.reading = false
	srv.checkDrainedLocked()
}

// checkDrainedLocked closes drained when there is nothing left to wait for.
func (srv *Server) checkDrainedLocked() {
	if srv.closing.Load() && srv.active == 0 && !srv.reading {
		close(srv.drained)
	}
}
