package udp

import (
	"net/netip"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// enter counts a new session from ip. It returns an error, and counts nothing,
// if the server is closing or MaxSessions or MaxSessionsPerIP is reached.
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

// leaveIP stops counting a session towards MaxSessionsPerIP.
func (srv *Server) leaveIP(ip netip.Addr) {
	if srv.MaxSessionsPerIP <= 0 {
		return
	}
	network := netserver.Network(ip)
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.perIP[network]--; srv.perIP[network] <= 0 {
		delete(srv.perIP, network)
	}
}

// leave stops counting a session towards MaxSessions: its OnSessionClosed has
// returned.
func (srv *Server) leave() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.active--
	srv.checkDrainedLocked()
}

// readEnded records that Serve no longer reads the socket.
func (srv *Server) readEnded() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.reading = false
	srv.checkDrainedLocked()
}

// checkDrainedLocked closes drained if the server is closing, Serve does not read
// and no session is left.
func (srv *Server) checkDrainedLocked() {
	if srv.closing.Load() && srv.active == 0 && !srv.reading {
		close(srv.drained)
	}
}
