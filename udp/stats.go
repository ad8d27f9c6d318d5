package udp

import (
	"sync/atomic"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Stats holds the counts of a server. Those of datagrams and refusals start at 0
// with the server and never go down. When nothing is pending, each received
// datagram is counted in exactly one of Handled, TooLarge, PendingFull,
// BadAddress, OwnAddress, NotAdmitted, Late, RefusedPerIP, RefusedFull and RefusedClosed.
type Stats struct {
	// Stats holds the counts of the sessions. Its RefusedFull and RefusedClosed
	// count datagrams, since each datagram from a refused address tries to begin a
	// session.
	pool.Stats

	// RefusedPerIP counts the datagrams that began no session because of
	// Server.MaxSessionsPerIP.
	RefusedPerIP uint64

	Received uint64 // datagrams read from the socket
	Handled  uint64 // datagrams given to OnMessage

	// Dropped datagrams, by cause.
	TooLarge    uint64 // longer than Server.MaxDatagram
	PendingFull uint64 // beyond Server.MaxPending or Server.MaxPendingBytes
	BadAddress  uint64 // from port 0, or from an address that is not IP, unspecified, multicast or broadcast
	OwnAddress  uint64 // from the address and port of the server itself
	NotAdmitted uint64 // Server.Admit did not admit them
	Late        uint64 // pending when their session was closed
}

// counts holds what a server counts itself; its pool counts the rest.
type counts struct {
	received, handled                            atomic.Uint64
	tooLarge, pendingFull, late                  atomic.Uint64
	badAddress, ownAddress, notAdmitted          atomic.Uint64
	refusedFull, refusedPerIP, refusedWhenClosed atomic.Uint64
}

// Stats returns the server's counts. They are read one after the other, so they
// need not add up while datagrams arrive. Before the server serves, Stats returns
// the zero value.
func (srv *Server) Stats() Stats {
	p := srv.sessions.Load()
	if p == nil {
		return Stats{}
	}
	c := &srv.counts
	ended := srv.ends.Count() // first: each has been closed
	st := Stats{
		Stats:        p.Stats(),
		RefusedPerIP: c.refusedPerIP.Load(),
		Received:     c.received.Load(),
		Handled:      c.handled.Load(),
		TooLarge:     c.tooLarge.Load(),
		PendingFull:  c.pendingFull.Load(),
		BadAddress:   c.badAddress.Load(),
		OwnAddress:   c.ownAddress.Load(),
		NotAdmitted:  c.notAdmitted.Load(),
		Late:         c.late.Load(),
	}
	st.Closing = int(st.Closed - ended)
	st.RefusedFull = c.refusedFull.Load()
	st.RefusedClosed = c.refusedWhenClosed.Load()
	return st
}
