package tcp

import "sync/atomic"

// Traffic holds the counts of what a server has read and written. They start at 0 with the
// server, and all but Outbound never go down.
type Traffic struct {
	// The bytes of all sessions, without the overhead of TLS.
	BytesIn, BytesOut uint64

	FramesIn  uint64 // frames passed to OnMessage
	FramesOut uint64 // successful calls of Send and Post with something to send

	Outbound int64  // bytes of Post that wait now
	Dropped  uint64 // calls of Post that were dropped by DropNewest
	Slow     uint64 // sessions that were closed with ReasonSlow

	RefusedPerIP uint64 // connections refused by MaxSessionsPerIP; Stats has the other refusals
	AcceptErrors uint64 // temporary errors of Accept

	// Probes counts the sessions whose peer closed or reset the connection before its first
	// byte, as a health check does. They are closed with ReasonEOF.
	Probes uint64
}

// Traffic returns the server's counts of traffic. They are read one after the other, so they
// need not add up while sessions read and write.
func (srv *Server) Traffic() Traffic {
	t := Traffic{
		RefusedPerIP: srv.refusedPerIP.Load(),
		AcceptErrors: srv.acceptErrors.Load(),
		Probes:       srv.probes.Load(),
		Outbound:     srv.waiting.Load(),
		Dropped:      srv.dropped.Load(),
		Slow:         srv.slow.Load(),
	}
	for i := range srv.counts {
		c := &srv.counts[i]
		t.BytesIn += c.bytesIn.Load()
		t.BytesOut += c.bytesOut.Load()
		t.FramesIn += c.framesIn.Load()
		t.FramesOut += c.framesOut.Load()
	}
	return t
}

// countStripes is a power of two.
const countStripes = 16

// counts is what some of the sessions count, so that two processors rarely meet.
type counts struct {
	bytesIn, bytesOut, framesIn, framesOut atomic.Uint64

	_ [32]byte // up to a whole cache line
}

func (s *Session) counts() *counts {
	return &s.server.counts[s.ID()&(countStripes-1)]
}
