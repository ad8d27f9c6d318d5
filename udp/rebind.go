package udp

import (
	"log/slog"
	"net/netip"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/pool"
)

// Rebind moves the session to another address of its peer, for a protocol that
// recognizes its sessions by what is in the datagrams: a NAT may give a peer another
// address at any time. From then on datagrams from addr belong to this session, Send
// sends there, and the old address is free: a datagram from there begins another
// session. Rebind may be called from any goroutine, and also from Server.Admit, whose
// datagram then goes to this session. A successful call counts as activity unless
// Server.Activity is Sent.
//
// If another session has the address, it is closed with pool.Replaced. Its pending
// datagrams become this session's, behind those that are pending here, except one
// that OnMessage is handling and those beyond Server.MaxPending, which are counted in
// Stats.PendingFull but not reported to OnError. Its Farewell is not called, since the
// datagram would go to this session's peer. So if OnMessage of a new session finds
// another session's name in its datagram, it may call Rebind on that other session with
// the new session's address, which ends the new session.
//
// Call Rebind only if the datagram is known to be from the session's peer, and if the
// peer has proved that it receives at addr. Otherwise an attacker takes over the
// session, or moves a session of its own to a victim's address and so ends the
// victim's session. The package checks neither.
//
// The error is ErrSessionClosed, ErrBadAddress or ErrOwnAddress, or ErrTooManyFromIP
// if Server.MaxSessionsPerIP does not allow another session there. The session that
// has the address does not count towards it. After an error nothing has changed.
func (s *Session) Rebind(addr netip.AddrPort) error {
	addr = unmap(addr)
	switch {
	case !isPeerAddress(addr):
		return ErrBadAddress
	case s.server.own.has(addr):
		return ErrOwnAddress
	case s.Reason() != "":
		return ErrSessionClosed
	}
	preempt.At("rebind: the session is open")
	m, err := s.server.addresses.move(s, addr)
	if err != nil {
		return err
	}
	preempt.At("rebind: the session is moved")
	if s.server.Activity != Sent {
		s.ps.Load().Touch()
	}
	if m.scheduled {
		s.server.schedule(s)
	}
	if m.replaced != nil { // or its first run closes it
		m.replaced.Close(pool.Replaced)
	}
	if s.server.logger != nil && m.from != addr {
		s.server.log(slog.LevelDebug, "udp: session moved", s.remoteAttr(), slog.String("from", m.from.String()))
	}
	return nil
}

// moved is what is left to do after a move, when no lock is held.
type moved struct {
	from      netip.AddrPort
	replaced  *poolSession // to be closed, if it is not nil
	scheduled bool         // the moved session is to be scheduled
}

// move lists s under another address. What another session has pending there becomes
// that of s in the same step, so that datagrams stay in order.
func (a *addresses) move(s *Session, addr netip.AddrPort) (m moved, err error) {
	to, hash := a.locate(addr)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !s.listed || !s.counted { // it has just been closed, or even ended
		return m, ErrSessionClosed
	}
	m.from = s.addr
	other := to.find(hash, addr)
	if other == s {
		return m, nil
	}
	from, network := netserver.Network(s.addr.Addr()), netserver.Network(addr.Addr())
	if other != nil {
		a.uncountLocked(other) // so that s may take its place
	}
	if from != network && !a.countLocked(network) {
		return m, ErrTooManyFromIP // other did not count, or there would be room
	}
	if from != network {
		a.uncountLocked(s)
		s.counted = true
	}
	a.unlistLocked(s)
	if other != nil {
		a.unlistLocked(other)
	}
	s.setAddr(addr)
	s.hash, s.listed = hash, true
	to.add(s)
	if other != nil {
		d, ps := other.giveWay()
		m.replaced, m.scheduled = ps, s.adopt(d)
	}
	return m, nil
}

func (s *Session) setAddr(addr netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr = addr
}

// giveWay notes that another session has taken the address of s, which receives
// nothing any more. It returns what was pending, and nil instead of the pool's session
// if begin has not registered that yet.
func (s *Session) giveWay() (*datagram, *poolSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaced = true
	first := s.pending.head
	s.pending, s.numPending = queue{}, 0
	return first, s.ps.Load()
}

// adopt queues datagrams that were pending for another session. It reports whether
// the session must be scheduled; it is pinned then.
func (s *Session) adopt(d *datagram) (scheduled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d != nil {
		next := d.next
		d.next = nil
		switch {
		case s.closed: // and end has dropped what was pending
			s.server.counts.late.Add(1)
			s.server.discard(d)
		case int(s.numPending) >= s.server.maxPending:
			s.server.counts.pendingFull.Add(1)
			s.server.discard(d)
		default:
			s.pushLocked(d)
			scheduled = scheduled || !s.busy
			s.busy = true
		}
		d = next
	}
	if scheduled {
		s.ps.Load().Pin() // finishRun unpins
	}
	return scheduled
}
