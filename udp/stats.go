package udp

import (
	"sync/atomic"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Stats is what a server has done and holds. When nothing is pending, each
// datagram of Received is in exactly one of Handled, TooLarge, PendingFull,
// BadAddress, Late, RefusedPerIP, RefusedFull and RefusedClosed.
type Stats struct {
	// Of the sessions. RefusedFull and RefusedClosed count datagrams, since each
	// datagram tries to begin a session anew.
	pool.Stats

	// RefusedPerIP counts datagrams that began no session, since their address
	// had as many as Server.MaxSessionsPerIP allows.
	RefusedPerIP uint64

	Received uint64 // datagrams that were read from the socket
	Handled  uint64 // given to OnMessage

	// Datagrams that were dropped, by cause.
	TooLarge    uint64 // over Server.MaxDatagram
	PendingFull uint64 // over Server.MaxPending or Server.MaxPendingBytes
	BadAddress  uint64 // from port 0, or from what is no IP address
	Late        uint64 // pending when their session was closed
}

// counts is what a server counts beside its pool.
type counts struct {
	received, handled                            atomic.Uint64
	tooLarge, pendingFull, badAddress, late      atomic.Uint64
	refusedFull, refusedPerIP, refusedWhenClosed atomic.Uint64
}

// Stats takes the figures one after the other, so they need not add up while
// datagrams come. It is zero before the server serves.
func (srv *Server) Stats() Stats {
	p := srv.sessions.Load()
	if p == nil {
		return Stats{}
	}
	c := &srv.counts
	st := Stats{
		Stats:        p.Stats(),
		RefusedPerIP: c.refusedPerIP.Load(),
		Received:     c.received.Load(),
		Handled:      c.handled.Load(),
		TooLarge:     c.tooLarge.Load(),
		PendingFull:  c.pendingFull.Load(),
		BadAddress:   c.badAddress.Load(),
		Late:         c.late.Load(),
	}
	st.RefusedFull = c.refusedFull.Load()
	st.RefusedClosed = c.refusedWhenClosed.Load()
	return st
}
