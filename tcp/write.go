package tcp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
)

// Send writes all queued data and then p to the connection. p must be framed by the caller.
// Send blocks until the socket has taken everything, and does not keep p. Concurrent Sends
// never interleave. With an empty p, Send only writes queued data. If it writes anything, it
// counts as activity, unless Server.Activity is Received.
//
// If the peer does not read, Send blocks for at most WriteTimeout, and so do other Sends to
// the session. Then the session is closed with ReasonSlow, and the error wraps ErrSlow. If
// writing fails otherwise, the session is closed with ReasonError, or with ReasonEOF if the
// peer has reset the connection before its first byte, and the error wraps ErrWrite. If the
// session is closed before or during Send, the error is ErrSessionClosed, and part of p may
// have been sent.
func (s *Session) Send(p []byte) error {
	n, of, err := s.send(p)
	if err != nil {
		return s.sendFailed(n, of, err)
	}
	if len(p) > 0 {
		s.counts().framesOut.Add(1)
	}
	if n > 0 {
		s.sent()
	}
	return nil
}

// sent notes activity. While frames are handled, which holds the session, that
// is left to the Touch at the end of it.
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

// send returns how many bytes it wrote of how many.
func (s *Session) send(p []byte) (n, of int, err error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.broken || s.phase.Load() == phaseOver {
		return 0, 0, ErrSessionClosed
	}
	if s.queue.Load() != nil {
		return s.writeQueuedLocked(p)
	}
	if len(p) == 0 {
		return 0, 0, nil
	}
	n, err = s.writeLocked(p)
	return n, len(p), err
}

// writeLocked writes p to the connection under the write timeout.
func (s *Session) writeLocked(p []byte) (n int, err error) {
	if _, ok := s.wire(); ok { // it does the same, beneath TLS
		n, err = s.conn.Write(p)
	} else {
		n, err = s.write.all(s.conn, s.raw, p, s.server.writeTimeout)
	}
	s.broken = err != nil
	s.counts().bytesOut.Add(uint64(n))
	return n, err
}

// sendFailed closes the session for a failed write.
//
//go:noinline
func (s *Session) sendFailed(n, of int, err error) error {
	if s.phase.Load() == phaseOver || errors.Is(err, ErrSessionClosed) {
		return ErrSessionClosed
	}
	f := &fault{ReasonError, fmt.Errorf("%w: %w", ErrWrite, err)}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		f = &fault{ReasonSlow, fmt.Errorf("%w: wrote %d of %d bytes within %v", ErrSlow, n, of, s.server.writeTimeout)}
	}
	if !s.heard.Load() && netserver.IsReset(err) { // a greeting that a health check does not wait for
		s.fail(eof)
	} else {
		s.fail(f)
	}
	return f.err
}

// rawWrite writes to a socket past its connection. It is made ready at its first
// use, and then writing allocates nothing. Writes must not run side by side.
type rawWrite struct {
	f   func(uintptr) bool // try
	p   []byte
	n   int
	err syscall.Errno
}

// all writes p to conn, whose socket rc is, if it is not nil. Only when the
// socket is full does the timeout begin; 0 is none.
func (w *rawWrite) all(conn net.Conn, rc syscall.RawConn, p []byte, timeout time.Duration) (int, error) {
	n := 0
	if rc != nil {
		var err error
		if n, err = w.now(rc, p); err != nil || n == len(p) {
			return n, err
		}
	}
	rest, err := writeWithin(conn, p[n:], timeout)
	return n + rest, err
}

// writeWithin writes p to conn under a deadline, and takes it away again.
//
//go:noinline
func writeWithin(conn net.Conn, p []byte, timeout time.Duration) (int, error) {
	if timeout > 0 {
		_ = conn.SetWriteDeadline(time.Now().Add(timeout)) // a closed connection tells at the write
		defer func() { _ = conn.SetWriteDeadline(time.Time{}) }()
	}
	return conn.Write(p)
}
