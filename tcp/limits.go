package tcp

import (
	"net"
	"net/netip"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
)

// limitedIP is what conn counts under for MaxSessionsPerIP; the zero Addr if it
// does not count.
func (srv *Server) limitedIP(conn net.Conn) netip.Addr {
	if srv.MaxSessionsPerIP <= 0 {
		return netip.Addr{}
	}
	return netserver.Network(netserver.AddrPort(conn.RemoteAddr()).Addr())
}

// enter counts a session goroutine and a session from ip, unless the server is
// closing or ip has too many.
func (srv *Server) enter(ip netip.Addr) error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closing.Load() {
		return ErrServerClosed
	}
	if ip.IsValid() {
		if srv.perIP[ip] >= srv.MaxSessionsPerIP {
			srv.refusedPerIP.Add(1)
			return ErrTooManyFromIP
		}
		srv.perIP[ip]++
	}
	srv.active++
	return nil
}

// leave counts a session goroutine that ends.
func (srv *Server) leave() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.active--
	srv.checkDrainedLocked()
}

// checkDrainedLocked closes drained when there is nothing left to wait for.
func (srv *Server) checkDrainedLocked() {
	if srv.closing.Load() && srv.active == 0 {
		close(srv.drained)
	}
}

// releaseIP forgets a session from ip.
func (srv *Server) releaseIP(ip netip.Addr) {
	if !ip.IsValid() {
		return
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.perIP[ip]--; srv.perIP[ip] <= 0 {
		delete(srv.perIP, ip)
	}
}
