package tcp

import (
	"net"
	"net/netip"
)

// ipv6Prefix is how much of an IPv6 address one subscriber shares.
const ipv6Prefix = 64

// limitedIP is what conn counts under for MaxSessionsPerIP; the zero Addr if it
// does not count.
func (srv *Server) limitedIP(conn net.Conn) netip.Addr {
	if srv.MaxSessionsPerIP == 0 {
		return netip.Addr{}
	}
	return networkOf(conn.RemoteAddr())
}

// networkOf is an IPv4 address, however it is written, or the /64 network of an
// IPv6 one; the zero Addr if a is neither.
func networkOf(a net.Addr) netip.Addr {
	var ip netip.Addr
	switch a := a.(type) {
	case nil:
		return ip
	case *net.TCPAddr:
		ip = a.AddrPort().Addr()
	default:
		ap, err := netip.ParseAddrPort(a.String())
		if err != nil {
			return netip.Addr{}
		}
		ip = ap.Addr()
	}
	ip = ip.Unmap()
	if !ip.Is6() {
		return ip
	}
	p, err := ip.Prefix(ipv6Prefix) // it has no zone
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
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
