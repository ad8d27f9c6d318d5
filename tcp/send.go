package tcp

import (
	"errors"
	"fmt"
	"os"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/internal/preempt"
)

// Send writes p behind what is queued, and returns when the socket has taken it. p must be
// framed by the caller, and may be reused when Send returns. Sends and Posts of any
// goroutines go out in the order of the calls and never interleave. With an empty p, Send
// waits until what is queued has been taken. Use Send where a peer that does not read is to
// slow down the caller, and Post where it must not.
//
// The session does not time out while Send waits. If it writes anything, that counts as
// activity, unless Server.Activity is Received.
//
// If the peer takes nothing for WriteTimeout, the session is closed with ReasonSlow, and the
// error wraps ErrSlow. If writing fails otherwise, the session is closed with ReasonError, or
// with ReasonEOF if the peer has reset the connection before its first byte, and the error
// wraps ErrWrite. If the session is closed before or during Send, Send returns at once, and
// the error is ErrSessionClosed. If part of p had been written by then, the server writes the
// rest as it does what Post has queued.
func (s *Session) Send(p []byte) error {
	if err := s.send(p); err != nil {
		return err
	}
	if len(p) > 0 {
		s.counts().framesOut.Add(1)
	}
	return nil
}

func (s *Session) send(p []byte) error {
	o := &s.out
	o.mu.Lock()
	switch {
	case o.closed:
		o.mu.Unlock()
		return ErrSessionClosed
	case o.turn || o.queue.head != nil:
		return s.sendBehindLocked(p)
	case len(p) == 0:
		o.mu.Unlock()
		return nil
	case !s.canWriteNow():
		return s.sendBehindLocked(p)
	}
	o.turn = true
	o.mu.Unlock()
	preempt.At("send: the turn is taken")
	n, err := s.writeNow(p)
	preempt.At("send: written, perhaps in part")
	s.counts().bytesOut.Add(uint64(n))
	if err != nil {
		return s.writeFailed(err)
	}
	if n < len(p) || s.cipherWaits() {
		return s.sendRest(p[n:], n > 0)
	}
	s.sent()
	if !s.endTurn() {
		_, _ = s.pump() // of others, who are told if it fails
	}
	return nil
}

// sendRest waits until the peer takes the rest of what was begun with the turn.
func (s *Session) sendRest(rest []byte, begun bool) error {
	o := &s.out
	o.mu.Lock()
	if o.closed { // meanwhile
		keep := begun && s.canKeep(rest)
		if keep {
			s.pushRestLocked(rest)
		}
		o.mu.Unlock()
		if begun && !keep {
			return s.writeFailed(ErrSessionClosed)
		}
		_, _ = s.pump()
		return ErrSessionClosed
	}
	c := &chunk{data: rest, send: true, begun: begun}
	o.queue.pushFront(c)
	o.sends++
	o.mu.Unlock()
	return s.sendWaiting(c)
}

// sendBehindLocked queues p, and waits until it has been written, by somebody else or by this
// Send. It unlocks o.mu.
func (s *Session) sendBehindLocked(p []byte) error {
	o := &s.out
	c := &chunk{data: p, send: true}
	if t := o.queue.tail; t != nil && t.buf != nil && len(p) > 0 && s.gatherLocked(t, p) {
		c.data, t.sent = nil, len(p) // one write for both; nothing is gathered behind
	}
	o.queue.push(c)
	o.sends++
	if !o.turn {
		o.turn = true
		o.mu.Unlock()
		return s.sendWaiting(c)
	}
	c.done = make(chan struct{})
	o.mu.Unlock()
	s.ps.Pin()
	<-c.done
	s.unpinWritten()
	return c.err
}

// sendWaiting writes the queue up to c, with the turn.
func (s *Session) sendWaiting(c *chunk) error {
	s.ps.Pin()
	err := s.pumpWaiting(c)
	s.unpinWritten()
	return err
}

// sent notes activity. While frames are handled, which holds the session, that is left to
// the Touch at the end of it.
func (s *Session) sent() {
	switch s.server.Activity {
	case ReceivedOrSent:
		if s.phase.Load() != phaseBusy {
			s.ps.Touch()
		}
	case Sent:
		s.ps.Touch()
	case Received:
	}
}

// sendFailed closes the session for a failed write.
//
//go:noinline
func (s *Session) sendFailed(err error) error {
	if s.phase.Load() == phaseOver || errors.Is(err, ErrSessionClosed) {
		return ErrSessionClosed
	}
	f := &fault{ReasonError, fmt.Errorf("%w: %w", ErrWrite, err)}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		f = &fault{ReasonSlow, fmt.Errorf("%w: the peer has taken nothing for %v", ErrSlow, s.server.writeTimeout)}
	}
	if !s.marks.has(markHeard) && netserver.IsReset(err) { // a greeting that a health check does not wait for
		s.fail(eof)
	} else {
		s.fail(f)
	}
	return f.err
}
