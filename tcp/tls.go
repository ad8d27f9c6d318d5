package tcp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
)

// wire is the connection beneath a session's TLS. On a socket it never waits in Write: what
// the socket does not take is kept, and whoever has the session's turn to write waits for
// that, outside of TLS's locks.
type wire struct {
	net.Conn
	session *Session
	raw     syscall.RawConn // nil: Conn is no plain socket

	handshaking bool // of the session's goroutine, as all I/O is until it ends
	heard       bool // something was read; likewise

	drainRest func(fd uintptr) bool // writeRest

	mu sync.Mutex
	// Guarded by mu.
	rest  []byte // encrypted, and not taken by the socket yet
	errno syscall.Errno
	waits bool // writeRest is to be called again when the socket is full
}

// maxRecord is the most that TLS encrypts as one record, and maxCipher how much more than
// one record the wire keeps, for TLS's own messages.
const (
	maxRecord = 16 << 10
	maxCipher = 64 << 10
)

var errCipher = errors.New("the peer asks for more answers of TLS than it reads")

// Read is called by TLS when it has nothing left to decrypt. So when part of a frame is
// pending, this is where the session waits for the rest.
func (w *wire) Read(p []byte) (int, error) {
	if s := w.session; s.buf != nil && !s.buf.empty() {
		s.armFrame()
	}
	n, err := w.read(p)
	w.heard = w.heard || n > 0
	return n, err
}

// read waits for input, unless the session is in a hurry and the socket can tell that there is
// none.
func (w *wire) read(p []byte) (int, error) {
	if s := w.session; w.raw != nil && !w.handshaking && s.w.hurried {
		return s.w.readNow(w.raw, p)
	}
	return w.Conn.Read(p)
}

// SetWriteDeadline does nothing on a socket, since Write does not wait there, and TLS leaves
// a deadline behind when it says goodbye.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.raw != nil {
		return nil
	}
	return w.Conn.SetWriteDeadline(t)
}

// Write is called by TLS for a record of the session, the handshake, an answer of its own,
// and the goodbye.
func (w *wire) Write(p []byte) (int, error) {
	switch {
	case w.handshaking:
		return w.Conn.Write(p) // under the handshake's deadline
	case w.raw == nil:
		return w.writeConn(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	if len(w.rest) == 0 {
		var err error
		n, err = writeRaw(w.raw, p)
		w.session.out.taken.Add(uint64(n))
		if err != nil {
			return n, err
		}
	} else if len(w.rest)+len(p) > maxRecord+maxCipher {
		return 0, errCipher
	}
	w.rest = append(w.rest, p[n:]...)
	return len(p), nil
}

// writeConn writes to a connection that is no socket. It goes on when its deadline has passed
// only so that somebody looks.
func (w *wire) writeConn(p []byte) (n int, err error) {
	for {
		m, err := w.Conn.Write(p[n:])
		n += m
		w.session.out.taken.Add(uint64(m))
		if !errors.Is(err, os.ErrDeadlineExceeded) || !w.session.waitsOn(m) {
			return n, err
		}
	}
}

// waitsOn decides whether TLS's write goes on waiting for the peer, of which m bytes were
// taken.
func (s *Session) waitsOn(m int) bool {
	s.out.mu.Lock()
	w, left := s.out.watch, s.out.closed && s.out.sender
	s.out.mu.Unlock()
	return w != nil && !left && !w.rearm(m > 0)
}

// encrypt has TLS write p to the wire, up to where the socket takes no more.
func (s *Session) encrypt(w *wire, p []byte) (n int, err error) {
	tc := s.tls.Load()
	for n < len(p) && !w.hasRest() {
		m, err := tc.Write(p[n:min(n+maxRecord, len(p))])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (w *wire) hasRest() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.rest) > 0
}

// cipherWaits reports whether TLS has encrypted what the socket has not taken.
func (s *Session) cipherWaits() bool {
	w, ok := s.wire()
	return ok && w.hasRest()
}

// flushTLS writes what TLS has encrypted, as far as the socket takes it at once.
func (s *Session) flushTLS() error {
	if w, ok := s.wire(); ok && w.hasRest() {
		return w.writeOut(false)
	}
	return nil
}

// drain is flushTLS, and waits for the peer.
func (w *wire) drain() error { return w.writeOut(true) }

func (w *wire) writeOut(waits bool) error {
	w.mu.Lock()
	w.waits, w.errno = waits, 0
	if w.drainRest == nil {
		w.drainRest = w.writeRest
	}
	w.mu.Unlock()
	err := w.raw.Write(w.drainRest)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && w.errno != 0 {
		err = os.NewSyscallError("write", w.errno)
	}
	return err
}

// handshake does the TLS handshake, if there is one to do.
func (s *Session) handshake() *fault {
	tc := tlsConn(s.stream())
	if tc == nil {
		return nil
	}
	if tc.ConnectionState().HandshakeComplete {
		s.marks.set(markSecured)
		return nil
	}
	if f := s.server.beginHandshake(s); f != nil {
		return f
	}
	defer s.server.endHandshake()
	if d := s.server.handshakeTimeout; d > 0 && !s.greeted {
		s.startLimit(d, true)
	}
	s.greeted = false
	if s.phase.Load() == phaseOver { // the close wants the handshake to end, and its deadline is lost
		return over
	}
	if err := tc.Handshake(); err != nil {
		if s.phase.Load() == phaseOver {
			return over
		}
		if s.silent(tc) && (errors.Is(err, io.EOF) || netserver.IsReset(err)) {
			return eof
		}
		return &fault{ReasonHandshake, fmt.Errorf("%w: %w", ErrHandshake, err)}
	}
	if s.stopLimit() {
		return &fault{ReasonHandshake, fmt.Errorf("%w: %w", ErrHandshake, os.ErrDeadlineExceeded)}
	}
	if w, ok := s.wire(); ok {
		w.handshaking = false
	}
	s.marks.set(markSecured)
	return nil
}

// awaitsHello reports whether the session is to be parked until the first bytes of its
// handshake come, for which its time begins. That needs a socket with nothing in between that
// could have read them already.
func (s *Session) awaitsHello() bool {
	tc := tlsConn(s.stream())
	if !canPoll || tc == nil || s.greeted {
		return false
	}
	if s.raw == nil && (rawConn(tc.NetConn()) == nil || tc.ConnectionState().HandshakeComplete) {
		return false
	}
	s.greeted = true
	if d := s.server.handshakeTimeout; d > 0 {
		s.startLimit(d, true)
	}
	return true
}

// beginHandshake counts a handshake, unless there are too many or no memory is left.
func (srv *Server) beginHandshake(s *Session) *fault {
	if srv.handshakes.Add(1) > srv.maxHandshakes {
		srv.handshakes.Add(-1)
		return &fault{ReasonOverload, fmt.Errorf("%w: Server.MaxHandshakes, %d, is reached", ErrOverload, srv.maxHandshakes)}
	}
	if !srv.reserve(handshakeMemory) {
		srv.handshakes.Add(-1)
		return s.overload()
	}
	return nil
}

func (srv *Server) endHandshake() {
	srv.handshakes.Add(-1)
	srv.unreserve(handshakeMemory)
}

// silent reports whether a handshake failed before the first byte of its peer; on a
// connection that brings its own TLS, before the first message.
func (s *Session) silent(tc *tls.Conn) bool {
	if w, ok := s.wire(); ok {
		return !w.heard
	}
	return tc.ConnectionState().Version == 0
}

// sayGoodbye sends TLS's close_notify, if the session is encrypted.
func (s *Session) sayGoodbye() {
	if tc := tlsConn(s.stream()); tc != nil {
		_ = tc.CloseWrite() // the connection ends in any case
	}
}
