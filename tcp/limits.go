package tcp

import (
	"net"
	"net/netip"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// limitedIP is what conn counts under for MaxSessionsPerIP; the zero Addr if it
// does not count.
func (srv *Server) limitedIP(conn net.Conn) netip.Addr {
	if srv.MaxSessionsPerIP <= 0 {
		return netip.Addr{}
	}
	return netserver.Network(netserver.AddrPort(conn.RemoteAddr()).Addr())
}

// enter counts a session's goroutine and its connection, from ip, unless the server does not
// listen any more, is full, or ip has too many.
func (srv *Server) enter(ip netip.Addr) error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.deaf.Load():
		return ErrServerClosed
	case srv.sockets >= srv.maxSessions:
		srv.refusedFull.Add(1)
		return pool.ErrFull
	case ip.IsValid() && srv.perIP[ip] >= srv.MaxSessionsPerIP:
		srv.refusedPerIP.Add(1)
		return ErrTooManyFromIP
	}
	if ip.IsValid() {
		srv.perIP[ip]++
	}
	srv.sockets++
	srv.active++
	return nil
}

// leave counts a session's goroutine that ends.
func (srv *Server) leave() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.active--
	srv.checkDrainedLocked()
}

// enterHelper counts a goroutine that works for a session beside the session's own. It reports
// false if drained is closed: nobody would wait for that goroutine, and the session has ended.
func (srv *Server) enterHelper() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.isDrainedLocked() {
		return false
	}
	srv.helpers++
	return true
}

func (srv *Server) leaveHelper() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.helpers--
	srv.checkDrainedLocked()
}

// checkDrainedLocked closes drained when there is nothing left to wait for.
func (srv *Server) checkDrainedLocked() {
	if srv.isDrainedLocked() {
		close(srv.drained)
	}
}

func (srv *Server) isDrainedLocked() bool {
	return srv.closing.Load() && srv.active == 0 && srv.helpers == 0
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

// releaseSocket forgets the connection of a session, which is about to be closed.
func (srv *Server) releaseSocket(s *Session) {
	srv.mu.Lock()
	l := srv.lingering[s]
	delete(srv.lingering, s)
	srv.sockets--
	if ip, ok := srv.countedIP[s]; ok {
		delete(srv.countedIP, s)
		if srv.perIP[ip]--; srv.perIP[ip] <= 0 {
			delete(srv.perIP, ip)
		}
	}
	srv.mu.Unlock()
	l.stop()
}

// keepLingering notes that a session lingers. It reports false if its connection is closed, or
// to be closed at once.
func (srv *Server) keepLingering(l *lingering) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if l.s.marks.has(markGone) || srv.cutting.Load() {
		return false
	}
	srv.lingering[l.s] = l
	return true
}

func (srv *Server) lingeringOf(s *Session) *lingering {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.lingering[s]
}

// cutLingering closes the connections of all sessions that linger, and of those that end
// from now on.
func (srv *Server) cutLingering() {
	srv.mu.Lock()
	srv.cutting.Store(true)
	var all []*Session
	for s := range srv.lingering {
		all = append(all, s)
	}
	srv.mu.Unlock()
	for _, s := range all {
		s.closeSocket(true)
	}
}
