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

// warmFor is how long a session whose connection cannot be asked whether something is there
// keeps its buffer while it waits.
const warmFor = time.Second

// await waits until something was read into the buffer or the stream has ended. It may return
// without either. It reports false when the session is over.
func (s *Session) await() bool {
	if s.raw != nil && s.tls.Load() == nil {
		return s.awaitRaw()
	}
	return s.awaitConn()
}

// awaitConn is await on a connection that cannot be asked whether something is there. A
// session that was active just now waits with its buffer. Then it waits for one byte without
// a buffer.
func (s *Session) awaitConn() bool {
	b := s.buf
	if b == nil {
		n, err := s.stream().Read(s.one[:])
		if n == 0 {
			return s.awaited(0, err)
		}
		s.buf = takeBuffer(s.hint)
		s.buf.data[0] = s.one[0]
		return s.awaited(n, err)
	}
	if b.empty() {
		s.warmUp()
	} else if _, ok := s.wire(); !ok { // a wire arms when it has to wait
		s.armFrame()
	}
	n, err := s.stream().Read(b.data[b.end:])
	return s.awaited(n, err)
}

// warmUp lets a session wait with its buffer for a while.
func (s *Session) warmUp() {
	if !s.warm {
		s.warm = true
		s.keepWarm()
	}
}

func (s *Session) keepWarm() {
	s.warmAt = s.frames
	s.setReadDeadline(time.Now().Add(warmFor))
}

// coolDown is called when a session has waited with its buffer for a while.
func (s *Session) coolDown() {
	if s.frames != s.warmAt {
		s.keepWarm()
		return
	}
	s.warm = false
	s.giveBack()
	s.setReadDeadline(time.Time{})
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
func (s *Session) awaited(n int, err error) bool {
	switch {
	case n > 0: // an error comes again at the next read
		s.took(n)
		return true
	case err == nil:
		return true
	default:
		return s.awaitFailed(err)
	}
}

// took notes bytes that were read into the buffer.
func (s *Session) took(n int) {
	s.buf.end += n
	if !s.heard.Load() {
		s.heard.Store(true)
	}
	s.counts().bytesIn.Add(uint64(n))
}

// awaitFailed reports true if the error is the end of the stream, which may end
// a last frame.
//
//go:noinline
func (s *Session) awaitFailed(err error) bool {
	switch {
	case s.phase.Load() == phaseOver: // closing it is what made the read fail
	case errors.Is(err, io.EOF):
		s.ended = true
		return true
	case errors.Is(err, os.ErrDeadlineExceeded) && s.warm:
		s.coolDown()
		return true
	case errors.Is(err, os.ErrDeadlineExceeded) && s.armed && !s.expired:
		// The process may have been stopped: what the peer has sent meanwhile counts.
		s.expired = true
		s.setReadDeadline(time.Now().Add(time.Millisecond))
		return true
	case errors.Is(err, os.ErrDeadlineExceeded) && s.armed:
		s.fail(&fault{ReasonFrameTimeout, fmt.Errorf("%w: received %d bytes within %v",
			ErrFrameTimeout, s.buf.end-s.buf.start, s.server.frameTimeout)})
	case !s.heard.Load() && netserver.IsReset(err):
		s.fail(eof)
	default:
		s.fail(&fault{ReasonError, fmt.Errorf("%w: %w", ErrRead, err)})
	}
	return false
}

// armFrame sets the deadline of the frame that is pending, once.
//
//go:noinline
func (s *Session) armFrame() {
	if !s.armed && s.server.frameTimeout > 0 {
		s.armed, s.warm = true, false
		s.setReadDeadline(time.Now().Add(s.server.frameTimeout))
	}
}

// disarmFrame ends the deadline of a frame that is whole.
func (s *Session) disarmFrame() {
	if s.armed {
		s.armed, s.expired = false, false
		s.setReadDeadline(time.Time{})
	}
}

// consume hands on the whole frames that are in the buffer. It reports false
// when the session is over.
//
//go:noinline
func (s *Session) consume() bool {
	token, f := s.next()
	if token != nil {
		f = s.deliver(token)
	}
	if f == eof && s.ended && !s.final {
		s.awaitReplies()
	}
	if f == nil && s.buf != nil && !s.buf.empty() {
		f = s.keepInput()
	}
	if f != nil {
		s.fail(f)
		return false
	}
	if s.buf != nil && s.buf.empty() {
		s.restInput()
	}
	return true
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
	if !s.rest(phaseBusy) {
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
