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

// keepIP notes the address that enter has counted a session under, since the one that
// its connection returns may change.
func (srv *Server) keepIP(s *Session, ip netip.Addr) {
	if !ip.IsValid() {
		return
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.countedIP[s] = ip
}

// releaseIP forgets the address of a session.
func (srv *Server) releaseIP(s *Session) {
	if srv.MaxSessionsPerIP <= 0 {
		return
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	ip, ok := srv.countedIP[s]
	if !ok {
		return
	}
	delete(srv.countedIP, s)
	if srv.perIP[ip]--; srv.perIP[ip] <= 0 {
		delete(srv.perIP, ip)
	}
}
