package tcp

import (
	"bufio"
	"crypto/tls"
	"time"
)

// framing is how a session's frames are cut, if not as the server's.
type framing struct {
	split    bufio.SplitFunc // nil: the server's
	maxFrame int             // 0: the server's
}

// SetSplit changes how the session's frames are cut, from the next frame on, including input
// that was received already. nil restores Server.Split. It must be called from OnMessage
// only.
func (s *Session) SetSplit(split bufio.SplitFunc) {
	s.reframe(func(f *framing) { f.split = split })
}

// SetMaxFrame changes the session's maximum length of a frame on the wire in bytes, from the
// next frame on. 0 and negative restore Server.MaxFrame. It must be called from OnMessage
// only.
func (s *Session) SetMaxFrame(n int) {
	s.reframe(func(f *framing) { f.maxFrame = max(0, n) })
}

func (s *Session) reframe(change func(*framing)) {
	var f framing
	if old := s.framing.Load(); old != nil {
		f = *old
	}
	change(&f)
	s.framing.Store(&f)
}

func (s *Session) split() bufio.SplitFunc {
	if f := s.framing.Load(); f != nil && f.split != nil {
		return f.split
	}
	return s.server.split
}

func (s *Session) maxFrame() int {
	if f := s.framing.Load(); f != nil && f.maxFrame > 0 {
		return f.maxFrame
	}
	return s.server.maxFrame
}

// StartTLS makes the session a TLS connection. It sends what is queued, and then does the
// handshake within HandshakeTimeout; what is posted and sent meanwhile follows encrypted. So
// post the reply that tells the peer to begin, and then call StartTLS. The config is cloned,
// and a MinVersion of 0 becomes TLS 1.2. StartTLS must be called from OnMessage only, which
// it blocks.
//
// If the peer has sent more than the frame that OnMessage is called with, the error is
// ErrPendingInput, and the session goes on as it was: an attacker between the peer and the
// server could have inserted these bytes, to be taken for part of the encrypted stream.
// Close the session then. The error is ErrSecure if the session has TLS, and ErrSessionClosed
// if it is closed before or during StartTLS. If the handshake fails, the session is closed
// with ReasonHandshake, and the error wraps ErrHandshake.
func (s *Session) StartTLS(config *tls.Config) error {
	switch {
	case config == nil:
		return errNilConfig
	case s.secure():
		return ErrSecure
	case s.buf != nil && !s.buf.empty():
		return ErrPendingInput
	}
	if err := s.takeTurn(); err != nil {
		return err
	}
	s.disarmFrame()
	s.w.check.stop()
	s.setReadDeadline(time.Time{}) // whatever has left one: the check, a hurry, or the time of a frame
	s.tls.Store(s.newTLS(withMinVersion(config)))
	returned := false
	defer func() {
		if !returned { // a callback of config panicked or called runtime.Goexit
			s.breakOff(ErrSessionClosed)
		}
	}()
	f := s.handshake()
	returned = true
	if f == nil {
		_ = s.pumpPosted() // it closes the session if it fails
		if s.phase.Load() == phaseOver {
			return ErrSessionClosed
		}
		return nil
	}
	s.fail(f)
	s.breakOff(ErrSessionClosed) // nothing may follow half a handshake
	if f.err == nil {
		return ErrSessionClosed
	}
	return f.err
}

// withMinVersion is a copy of config that asks for TLS 1.2 if it asks for nothing.
func withMinVersion(config *tls.Config) *tls.Config {
	config = config.Clone()
	if config.MinVersion == 0 {
		config.MinVersion = tls.VersionTLS12
	}
	return config
}

// newTLS returns TLS on the session's connection, before its handshake.
func (s *Session) newTLS(config *tls.Config) *tls.Conn {
	return tls.Server(&wire{Conn: s.conn, session: s, raw: s.raw, handshaking: true}, config)
}
