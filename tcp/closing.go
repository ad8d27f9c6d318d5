package tcp

import (
	"crypto/tls"
	"net"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/pool"
)

// transport is a session as its pool sees it: something to close.
type transport Session

// RemoteAddr is how the pool learns the address of a session that has closed.
func (t *transport) RemoteAddr() net.Addr { return t.conn.RemoteAddr() }

// Close is called by the pool, once, when somebody has won the close. The reason is fixed by
// then. It waits for nobody.
func (t *transport) Close() error {
	s := (*Session)(t)
	before := s.phase.Swap(phaseOver)
	defer s.wake() // to end
	preempt.At("close: the phase is over")
	s.stopClaim()
	waits := s.closeOutbound()
	if before == phaseOpening { // there is nobody to say anything to, and ps may not be set
		s.closeSocket(false)
		return nil
	}
	r := s.ps.Reason()
	if r == ReasonSlow {
		s.server.slow.Add(1)
	}
	switch {
	case isReset(r):
		s.closeSocket(true)
	case s.server.cutting.Load():
		s.flush()
		s.goodbyeNow()
		s.closeSocket(false)
	case waits, s.marks.has(markFinishing), s.final, s.saysFarewell(r), s.goodbyeWaits(), s.isUnacked():
		s.part(before, r)
	default:
		s.goodbyeNow()
		s.closeSocket(false)
	}
	return nil
}

// isReset reports whether a session that ends for r is reset: its peer is gone, or has had
// its chance to read.
func isReset(r pool.Reason) bool {
	return r == ReasonSlow || r == ReasonError || r == ReasonOverload
}

// saysFarewell reports whether Farewell is due for a session that ends for r.
func (s *Session) saysFarewell(r pool.Reason) bool {
	if s.server.Farewell == nil || s.marks.has(markFinishing) {
		return false
	}
	switch r {
	case ReasonEOF, ReasonError, ReasonSlow, ReasonOverload, ReasonPanic, ReasonHandshake:
		return false
	default:
		return true
	}
}

// isUnacked reports whether the peer has not received all that was sent. Closing the
// connection at once could destroy it.
func (s *Session) isUnacked() bool {
	n, _ := unacked(s.socket())
	return n > 0
}

// goodbyeWaits reports whether TLS's goodbye may wait for the peer.
func (s *Session) goodbyeWaits() bool { return s.tls.Load() != nil && !s.canWriteNow() }

// goodbyeNow sends TLS's goodbye as far as that needs no waiting.
func (s *Session) goodbyeNow() {
	o := &s.out
	if !s.canWriteNow() || s.tls.Load() == nil {
		return
	}
	o.mu.Lock()
	turn := !o.turn
	o.turn = true
	o.mu.Unlock()
	if turn {
		o.said = true
		s.sayGoodbye()
		s.breakOff(nil)
	}
}

// closeSocket closes the connection, if it is not closed yet.
func (s *Session) closeSocket(reset bool) {
	if s.marks.set(markGone) {
		return
	}
	if reset {
		resetOnClose(s.conn)
	}
	s.out.endWatch()
	s.server.releaseSocket(s) // before the peer can know of it and come again
	conn := s.conn
	if tc, ok := conn.(*tls.Conn); ok { // whose Close would wait for the peer
		conn = tc.NetConn()
	}
	_ = conn.Close() // it is gone either way
}

// drain tells a session that is busy to close with Shutdown when it has handed on what it has
// read. It reports true for one that waits, which is the caller's to close.
func (s *Session) drain() (waits bool) {
	for {
		phase := s.phase.Load()
		next := phaseOver // what it reads from now on is dropped
		switch phase {
		case phaseBusy:
			next = phaseDraining
		case phaseRegistering:
			next = phaseLastCall
		case phaseIdle, phaseIdling:
		case phaseOpening:
			return true
		default:
			return false
		}
		if s.phase.CompareAndSwap(phase, next) {
			return next == phaseOver
		}
	}
}
