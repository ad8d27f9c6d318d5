package tcp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
)

// await waits until something was read into the buffer or the stream has ended.
// It reports false when the session is over.
func (s *Session) await() bool {
	if s.raw != nil {
		return s.awaitRaw()
	}
	return s.awaitConn()
}

// awaitConn is await on a connection that cannot be asked whether something is
// there: it waits for one byte without a buffer, and then reads the rest into
// one.
func (s *Session) awaitConn() bool {
	if s.buf == nil {
		n, err := s.conn.Read(s.one[:])
		if n == 0 {
			return s.awaited(0, err)
		}
		s.buf = takeBuffer(s.hint)
		s.buf.data[0] = s.one[0]
		return s.awaited(n, err)
	}
	if _, ok := s.wire(); !ok { // a wire arms when it has to wait
		s.armFrame()
	}
	n, err := s.conn.Read(s.buf.data[s.buf.end:])
	return s.awaited(n, err)
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
		s.armed = true
		_ = s.conn.SetReadDeadline(time.Now().Add(s.server.frameTimeout)) // a closed connection tells at the read
	}
}

// disarmFrame ends the deadline of a frame that is whole.
func (s *Session) disarmFrame() {
	if s.armed {
		s.armed = false
		_ = s.conn.SetReadDeadline(time.Time{})
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
	if f != nil {
		s.fail(f)
		return false
	}
	b := s.buf
	switch {
	case b == nil:
	case !b.empty():
		s.buf = b.room(s.server.maxFrame)
		s.hint = min(s.buf.class, classes-1)
	default:
		if s.hint > 0 && b.end <= len(b.data)/4 { // the frames have become smaller
			s.hint--
		}
		b.start, b.end = 0, 0
		if s.raw == nil || b.class > s.hint {
			s.giveBack()
		}
	}
	return true
}

// deliver hands token and the frames after it to OnMessage, and returns what
// ends the session, or nil. The session is pinned meanwhile.
func (s *Session) deliver(token []byte) *fault {
	if !s.phase.CompareAndSwap(phaseIdle, phaseBusy) {
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
		if s.finish.Load() != nil {
			break
		}
		if s.server.Activity == Sent { // a long pipeline keeps no session open either
			s.ps.UnpinAndExpire()
			s.ps.Pin()
		}
		token, f = s.next()
	}
	s.flush()
	if finish := s.finish.Load(); finish != nil {
		return finish
	}
	// One Touch for all that was received, and for what was sent meanwhile.
	if s.server.Activity == Sent {
		s.ps.UnpinAndExpire()
	} else {
		s.ps.Touch()
		s.ps.Unpin()
	}
	if !s.rest(phaseBusy) {
		return over
	}
	return f
}
