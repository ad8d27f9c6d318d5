package tcp

import (
	"fmt"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
)

// Overflow says what Post does with a session on which Server.MaxOutbound bytes wait.
type Overflow uint8

// The kinds of overflow.
const (
	CloseSlow  Overflow = iota // close the session with ReasonSlow
	DropNewest                 // drop what is posted
)

// Post writes p behind what is queued, and never waits for the peer: what the socket does
// not take at once is queued, and sent when the peer reads. p must be framed by the caller,
// and may be reused when Post returns. Sends and Posts of any goroutines go out in the order
// of the calls and never interleave. With an empty p, Post does nothing.
//
// While the session's callbacks handle frames, what is posted is gathered, so that the
// replies to a pipeline are one write: it is written when the frames that were received
// together have been handled, when 16 KiB have gathered, or after about 10 milliseconds.
// Send(nil) writes it before. With a Server.FlushInterval, what other goroutines post is gathered
// too, and written by a goroutine of the server's.
//
// Post calls no callback, so its caller may hold locks that the callbacks take.
//
// If more than Server.MaxOutbound bytes would wait, Server.Overflow decides: the session is
// closed with ReasonSlow, and the error wraps ErrSlow, or p is dropped, and the error wraps
// ErrOverflow. A p that is longer than MaxOutbound by itself is ErrOverflow and closes
// nothing. If the server has no memory left for p, the session is closed with ReasonOverload,
// and the error wraps ErrOverload. Otherwise Post fails as Send does; if a later write
// fails, that closes the session and is reported to OnError only.
//
// Post counts as activity when the socket has taken p, unless Server.Activity is Received.
// While bytes wait, the session does not time out; WriteTimeout applies instead. If the
// session ends, the server writes what waits within LingerTimeout, unless the reason is
// ReasonSlow, ReasonError or ReasonOverload.
func (s *Session) Post(p []byte) error { return s.post(p, nil) }

// Outbound returns how many bytes of Post wait to be taken by the socket. What Sends wait for
// does not count.
func (s *Session) Outbound() int { return int(s.out.waiting.Load()) }

// post posts p to the session alone, or as part of a Group's broadcast.
func (s *Session) post(p []byte, b *broadcast) error {
	o := &s.out
	o.mu.Lock()
	for {
		waiting := int(o.waiting.Load())
		switch {
		case o.closed:
			o.mu.Unlock()
			return ErrSessionClosed
		case len(p) == 0:
			o.mu.Unlock()
			return nil
		case len(p) > s.server.maxOutbound:
			o.mu.Unlock()
			return fmt.Errorf("%w: %d bytes are more than Server.MaxOutbound, %d", ErrOverflow, len(p), s.server.maxOutbound)
		case !o.turn && waiting > 0 && waiting+len(p) > min(maxQueue, s.server.maxOutbound):
			// Enough has gathered.
			o.turn = true
			o.mu.Unlock()
			if err := s.pumpPosted(); err != nil {
				return err
			}
			o.mu.Lock()
			if o.turn && !o.closed { // the socket is full
				if int(o.waiting.Load())+len(p) > s.server.maxOutbound {
					o.mu.Unlock()
					return s.overflow(len(p))
				}
				return s.postBehindLocked(p, 0, b)
			}
		case waiting+len(p) > s.server.maxOutbound:
			o.mu.Unlock()
			return s.overflow(len(p))
		case o.turn || o.queue.head != nil || len(p) <= maxQueue && s.gathers():
			return s.postBehindLocked(p, 0, b)
		case !s.canWriteNow():
			return s.postBehindLocked(p, 0, b)
		default:
			o.turn = true
			o.mu.Unlock()
			return s.postNow(p, b)
		}
	}
}

// gathers reports whether what is posted waits for the end of callbacks that handle frames, or
// for the flusher.
func (s *Session) gathers() bool { return s.server.flushInterval > 0 || s.inBatch() }

// inBatch reports whether callbacks handle frames.
func (s *Session) inBatch() bool {
	switch s.phase.Load() {
	case phaseRegistering, phaseLastCall, phaseBusy, phaseDraining:
		return true
	default:
		return false
	}
}

// postNow writes p as far as the socket takes it, with the turn, and queues the rest.
func (s *Session) postNow(p []byte, b *broadcast) error {
	preempt.At("post: the turn is taken")
	n, err := s.writeNow(p)
	preempt.At("post: written, perhaps in part")
	s.counts().bytesOut.Add(uint64(n))
	if err != nil {
		return s.writeFailed(err)
	}
	s.counts().framesOut.Add(1)
	if n == len(p) {
		s.sent()
		if s.endTurn() {
			return nil
		}
	} else if !s.queueRest(p, n, b) {
		f := s.overload()
		s.fail(f)
		s.breakOff(f.err)
		return f.err
	}
	return s.pumpPosted()
}

// queueRest queues what the socket has not taken of p before what others have queued
// meanwhile. It reports false if there is no memory left.
func (s *Session) queueRest(p []byte, n int, b *broadcast) bool {
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	others := o.queue
	o.queue = chunks{}
	ok := s.enqueueLocked(p, n, b)
	if others.head != nil {
		if o.queue.head == nil {
			o.queue = others
		} else {
			o.queue.tail.next, o.queue.tail = others.head, others.tail
		}
	}
	return ok
}

// postBehindLocked queues p, and has it written unless somebody else will. It unlocks o.mu.
func (s *Session) postBehindLocked(p []byte, n int, b *broadcast) error {
	o := &s.out
	if !s.enqueueLocked(p, n, b) {
		o.mu.Unlock()
		f := s.overload()
		s.fail(f)
		return f.err
	}
	write := !o.turn && !s.gathers()
	if write {
		o.turn = true
	}
	later := !o.turn
	o.mu.Unlock()
	preempt.At("post: queued")
	s.counts().framesOut.Add(1)
	switch {
	case write:
		return s.pumpPosted()
	case later && s.inBatch(): // at the end of which it is written, unless that takes long
		s.server.flusher.add(s)
	case later:
		s.server.flusher.addDue(s)
	}
	return nil
}

// pumpPosted writes what is queued as far as the socket takes it, with the turn.
func (s *Session) pumpPosted() error {
	wrote, err := s.pump()
	if wrote {
		s.sent()
	}
	return err
}

// flush writes what was gathered, as far as the socket takes it at once. It reports false if
// nothing was, or somebody else writes it.
func (s *Session) flush() bool {
	o := &s.out
	if o.waiting.Load() == 0 {
		return false
	}
	o.mu.Lock()
	if o.turn || o.queue.head == nil {
		o.mu.Unlock()
		return false
	}
	o.turn = true
	o.mu.Unlock()
	_ = s.pumpPosted() // it closes the session if it fails
	return true
}

// overflow is what becomes of n bytes that are posted to a session on which too many wait.
//
//go:noinline
func (s *Session) overflow(n int) error {
	if s.server.Overflow == DropNewest {
		s.server.dropped.Add(1)
		return fmt.Errorf("%w: %d bytes wait, and Server.MaxOutbound is %d", ErrOverflow, s.Outbound(), s.server.maxOutbound)
	}
	f := &fault{ReasonSlow, fmt.Errorf("%w: %d bytes wait, and %d more exceed Server.MaxOutbound, %d",
		ErrSlow, s.Outbound(), n, s.server.maxOutbound)}
	s.fail(f)
	return f.err
}
