package tcp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
)

// farewellTimeout bounds a farewell on a connection that cannot be written to
// without waiting.
const farewellTimeout = 200 * time.Millisecond

// wire is the connection beneath a session's TLS. It gives writes and frames
// the deadlines that a plain session has, and keeps TLS's farewell from
// blocking.
type wire struct {
	net.Conn
	session *Session
	raw     syscall.RawConn // nil: Conn is no plain socket

	write       rawWrite // TLS writes one record after the other
	handshaking bool     // of the session's goroutine, as all I/O is until it ends
	heard       bool     // something was read; likewise

	writing atomic.Int32 // writes that are under way
	parting atomic.Bool  // only what the socket takes at once is written
}

// wire is what the session's TLS works on, if the server has put it there.
func (s *Session) wire() (*wire, bool) {
	tc, ok := s.conn.(*tls.Conn)
	if !ok {
		return nil, false
	}
	w, ok := tc.NetConn().(*wire)
	return w, ok
}

// Read is called by TLS when it has nothing left to decrypt. So when part of a
// frame is pending, this is where the session waits for the rest.
func (w *wire) Read(p []byte) (int, error) {
	if s := w.session; s.buf != nil && !s.buf.empty() {
		s.armFrame()
	}
	n, err := w.Conn.Read(p)
	w.heard = w.heard || n > 0
	return n, err
}

// Write is called by TLS for a Send, the handshake, an answer of its own, and the
// farewell.
func (w *wire) Write(p []byte) (int, error) {
	w.writing.Add(1)
	defer w.writing.Add(-1)
	switch {
	case w.parting.Load():
		return w.writeLast(p)
	case w.handshaking:
		return w.Conn.Write(p) // under the handshake's deadline
	default:
		return w.write.all(w.Conn, w.raw, p, w.session.server.writeTimeout)
	}
}

func (w *wire) writeLast(p []byte) (int, error) {
	if w.raw == nil {
		return writeWithin(w.Conn, p, farewellTimeout)
	}
	n, err := w.write.now(w.raw, p)
	if err == nil && n < len(p) {
		err = syscall.EAGAIN
	}
	return n, err
}

// handshake does the TLS handshake, if there is one to do.
func (s *Session) handshake() *fault {
	tc := tlsConn(s.conn)
	if tc == nil || tc.ConnectionState().HandshakeComplete {
		return nil
	}
	d := s.server.handshakeTimeout
	if d > 0 {
		_ = tc.SetDeadline(time.Now().Add(d)) // a closed connection tells at the handshake
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
	if d > 0 {
		_ = tc.SetDeadline(time.Time{})
	}
	if w, ok := s.wire(); ok {
		w.handshaking = false
	}
	return nil
}

// silent reports whether a handshake failed before the first byte of its peer; on a
// connection that brings its own TLS, before the first message.
func (s *Session) silent(tc *tls.Conn) bool {
	if w, ok := s.wire(); ok {
		return !w.heard
	}
	return tc.ConnectionState().Version == 0
}

// closeConn closes a connection. With a farewell, TLS says goodbye as far as
// that needs no waiting.
func closeConn(conn net.Conn, farewell bool) error {
	tc, ok := conn.(*tls.Conn)
	if !ok {
		return conn.Close()
	}
	w, ok := tc.NetConn().(*wire)
	if !ok || !farewell {
		return tc.NetConn().Close()
	}
	w.parting.Store(true)
	if w.writing.Load() > 0 { // it may hold TLS's lock for long; whoever comes later sees parting
		return w.Conn.Close()
	}
	return tc.Close()
}
