package tcp

import "sync/atomic"

// Traffic is what a server has read and written, since it began.
type Traffic struct {
	// Bytes of sessions, without what TLS adds to them.
	BytesIn, BytesOut uint64

	FramesIn  uint64 // handed to OnMessage
	FramesOut uint64 // taken by Send and Queue: each call with something to send is one

	RefusedPerIP uint64 // connections over MaxSessionsPerIP; the others are in Stats
	AcceptErrors uint64 // listeners' passing errors
}

// Traffic takes the figures one after the other, so they need not add up while
// sessions read and write.
func (srv *Server) Traffic() Traffic {
	t := Traffic{RefusedPerIP: srv.refusedPerIP.Load(), AcceptErrors: srv.acceptErrors.Load()}
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
