package tcp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/internal/preempt"
)

// outcome is what came of waiting for input.
type outcome uint8

const (
	isOver    outcome = iota // the session has ended, or is to end
	hasInput                 // something was read, perhaps the end of the stream; or wait again
	isSilent                 // nothing has come for a while
	isHalfway                // the peer has closed its side, and may still read
)

// hurry is how long a session that is to read only what is there waits for it, on a connection
// that cannot be asked.
const hurry = time.Millisecond

// await waits until something was read into the buffer or the stream has ended, or there was
// no input for a while.
func (s *Session) await() outcome {
	if s.raw != nil && s.tls.Load() == nil {
		return s.awaitRaw()
	}
	return s.awaitConn()
}

// awaitConn is await on a connection that cannot be asked whether something is there. A
// session without a buffer waits for one byte.
func (s *Session) awaitConn() outcome {
	w := s.w
	wire, _ := s.wire()
	if w.hurried {
		if wire == nil || wire.raw == nil {
			s.setReadDeadline(time.Now().Add(hurry))
		}
	} else if w.check.isOff() && (s.buf != nil || s.canPark()) {
		w.check.start()
	}
	b := s.buf
	if b == nil {
		n, err := s.stream().Read(w.one[:])
		if n == 0 {
			return s.awaited(0, err)
		}
		s.buf = takeBuffer(s.hint)
		s.buf.data[0] = w.one[0]
		return s.awaited(n, err)
	}
	if wire == nil && !b.empty() { // a wire arms when it has to wait
		s.armFrame()
	}
	n, err := s.stream().Read(b.data[b.end:])
	return s.awaited(n, err)
}

// setReadDeadline is for the session's goroutine. A close, which sets one that has passed so
// that the goroutine looks, is not overwritten.
func (s *Session) setReadDeadline(t time.Time) {
	_ = s.conn.SetReadDeadline(t) // a closed connection tells at the read
	if s.phase.Load() == phaseOver {
		_ = s.conn.SetReadDeadline(past)
	}
}

// awaited takes in the outcome of a read.
func (s *Session) awaited(n int, err error) outcome {
	switch {
	case n > 0: // an error comes again at the next read
		s.took(n)
		return hasInput
	case err == nil:
		return hasInput
	default:
		return s.awaitFailed(err)
	}
}

// took notes bytes that were read into the buffer.
func (s *Session) took(n int) {
	s.buf.end += n
	if !s.marks.has(markHeard) {
		s.marks.set(markHeard)
	}
	s.w.vain, s.w.worked = false, true
	s.w.check.input()
	s.counts().bytesIn.Add(uint64(n))
}

// awaitFailed takes in the error of a read.
//
//go:noinline
func (s *Session) awaitFailed(err error) outcome {
	switch {
	case s.phase.Load() == phaseOver: // closing it is what made the read fail
	case errors.Is(err, io.EOF):
		s.ended = true // which may end a last frame
		return hasInput
	case errors.Is(err, os.ErrDeadlineExceeded):
		return s.interrupted()
	case !s.marks.has(markHeard) && netserver.IsReset(err):
		s.fail(eof)
	default:
		s.fail(&fault{ReasonError, fmt.Errorf("%w: %w", ErrRead, err)})
	}
	return isOver
}

// interrupted finds out why a read has returned. Whoever has it return says why first and sets
// the deadline then; so the deadline is cleared first here.
func (s *Session) interrupted() outcome {
	s.setReadDeadline(time.Time{})
	w := s.w
	switch {
	case s.armed && !s.late && s.limit.passed():
		// The process may have been stopped: what the peer has sent meanwhile counts.
		s.stopCheck()
		s.late, w.hurried = true, true
		return hasInput
	case w.hurried:
		return s.foundNothing()
	case w.check.answer():
		return isSilent
	default:
		return hasInput
	}
}

// stopCheck stops the check for input, so that no read returns because of it.
func (s *Session) stopCheck() {
	if s.w.check.stop() {
		s.setReadDeadline(time.Time{})
	}
}

// foundNothing is what comes of reading in a hurry when nothing is there.
func (s *Session) foundNothing() outcome {
	switch {
	case s.late:
		s.fail(&fault{ReasonFrameTimeout, fmt.Errorf("%w: received %d bytes within %v",
			ErrFrameTimeout, s.buf.end-s.buf.start, s.server.frameTimeout)})
		return isOver
	case s.w.vain: // whatever has woken it may do so again
		s.w.hurried, s.w.vain = false, false
		return hasInput
	default:
		return isSilent
	}
}

// armFrame starts the time of the frame that is pending, once.
//
//go:noinline
func (s *Session) armFrame() {
	if !s.armed && s.server.frameTimeout > 0 {
		s.armed = true
		s.startLimit(s.server.frameTimeout, false)
	}
}

// disarmFrame ends the time of a frame that is whole.
func (s *Session) disarmFrame() {
	if s.armed {
		if s.late {
			s.late, s.w.hurried = false, false
		}
		s.armed = false
		s.stopLimit()
	}
}

// consume hands on the whole frames that are in the buffer.
//
//go:noinline
func (s *Session) consume() outcome {
	token, f := s.next()
	if token != nil {
		f = s.deliver(token)
	}
	if f == eof && s.ended && !s.final {
		s.disarmFrame()
		return isHalfway
	}
	if f == nil && s.buf != nil && !s.buf.empty() {
		f = s.keepInput()
	}
	if f != nil {
		s.fail(f)
		return isOver
	}
	if s.buf != nil && s.buf.empty() {
		s.restInput()
	}
	return hasInput
}

// keepInput makes room for the rest of the frame that is pending.
func (s *Session) keepInput() *fault {
	s.buf = s.buf.room(s.maxFrame())
	s.hint = min(s.buf.class, classes-1)
	if !s.reserveInput() {
		return s.overload()
	}
	return nil
}

// restInput gives back the buffer, in which nothing is pending, unless the next read needs
// it.
func (s *Session) restInput() {
	s.unreserveInput()
	b := s.buf
	if s.hint > 0 && b.end <= len(b.data)/4 { // the frames have become smaller
		s.hint--
	}
	b.start, b.end = 0, 0
	if b.class > s.hint {
		s.giveBack()
	}
}

// deliver hands token and the frames after it to OnMessage, and returns what
// ends the session, or nil. The session is pinned meanwhile.
func (s *Session) deliver(token []byte) *fault {
	if !s.beginBatch() {
		return over
	}
	s.ps.Pin()
	if s.ps.Reason() != "" { // it has expired already, and the frame came too late
		return over
	}
	s.disarmFrame()
	before := s.frames
	defer func() { s.counts().framesIn.Add(s.frames - before) }() // also when a callback panics
	var f *fault
	for token != nil && s.phase.Load() != phaseOver {
		s.frames++
		if s.server.OnMessage != nil {
			s.server.OnMessage(s, token[:len(token):len(token)]) // an append must not reach the next frame
		}
		if s.server.Activity == Sent && s.Outbound() == 0 { // a long pipeline keeps no session open either
			s.ps.UnpinAndExpire()
			s.ps.Pin()
		}
		token, f = s.next()
	}
	s.flush() // with Sent, this is what counts
	// One Touch for all that was received, and for what was sent meanwhile.
	if s.server.Activity == Sent {
		s.ps.UnpinAndExpire()
	} else {
		s.ps.Touch()
		s.ps.Unpin()
	}
	preempt.At("batch: flushed")
	if !s.becomeIdle(phaseBusy) {
		return over
	}
	preempt.At("batch: over")
	s.flush() // what others have posted in between
	return f
}

// beginBatch goes from idle to busy, behind an OnIdle that runs. It reports false if the
// session is over.
func (s *Session) beginBatch() bool {
	for !s.phase.CompareAndSwap(phaseIdle, phaseBusy) {
		if s.phase.Load() == phaseOver {
			return false
		}
		if idling := s.idling.Load(); idling != nil {
			<-*idling
		}
	}
	return true
}
