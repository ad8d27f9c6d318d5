package tcp

import (
	"crypto/tls"
	"net"
	"syscall"
)

// stream is what frames are read from and written to: the connection, or TLS on it.
func (s *Session) stream() net.Conn {
	if tc := s.tls.Load(); tc != nil {
		return tc
	}
	return s.conn
}

// secure reports whether the session is encrypted.
func (s *Session) secure() bool { return tlsConn(s.stream()) != nil }

// wire returns what the session's TLS works on, if the server has put it there.
func (s *Session) wire() (*wire, bool) {
	if tc := s.tls.Load(); tc != nil {
		return tc.NetConn().(*wire), true
	}
	return nil, false
}

// canWriteNow reports whether the connection can be written to without waiting.
func (s *Session) canWriteNow() bool { return s.raw != nil }

// resumable reports whether a write whose deadline has passed can be taken up again.
func (s *Session) resumable() bool { return tlsConn(s.conn) == nil }

// writeNow writes as much of p as the connection takes without waiting.
func (s *Session) writeNow(p []byte) (n int, err error) {
	switch w, ok := s.wire(); {
	case !s.canWriteNow():
		return 0, nil
	case ok:
		return s.encrypt(w, p)
	}
	n, err = writeRaw(s.raw, p)
	s.out.taken.Add(uint64(n))
	return n, err
}

// writeWaiting writes p, and before it what TLS has encrypted already. It waits for the
// peer until all is written, and may return before if there is progress.
func (s *Session) writeWaiting(p []byte) (n int, err error) {
	w, ok := s.wire()
	switch {
	case ok && s.canWriteNow():
		if err := w.drain(); err != nil || len(p) == 0 {
			return 0, err
		}
		return s.encrypt(w, p)
	case s.canWriteNow():
		return writeRawAll(s.raw, p, &s.out.taken)
	default:
		n, err = s.stream().Write(p)
		if !ok { // a wire counts by itself
			s.out.taken.Add(uint64(n))
		}
		return n, err
	}
}

// socket is the way to the socket at the bottom of the connection; nil if none is found.
// It is not read from or written to.
func (s *Session) socket() syscall.RawConn {
	if s.raw != nil {
		return s.raw
	}
	var rc syscall.RawConn
	eachLayer(s.conn, func(c net.Conn) (found bool) {
		if sc, ok := c.(syscall.Conn); ok {
			var err error
			rc, err = sc.SyscallConn()
			return err == nil
		}
		return false
	})
	return rc
}

// maxWraps bounds how many connections within one another are looked into, since one may
// return itself.
const maxWraps = 16

// eachLayer calls f with the connection and those beneath it, until f reports true.
func eachLayer(conn net.Conn, f func(net.Conn) bool) {
	for range maxWraps {
		if f(conn) {
			return
		}
		c, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}
		conn = c.NetConn()
	}
}

// closeWrite closes the writing side, if the connection or one beneath it can.
func closeWrite(conn net.Conn) (closed bool) {
	eachLayer(conn, func(c net.Conn) bool {
		if _, ok := c.(*tls.Conn); ok {
			return false // it has said goodbye
		}
		if cw, ok := c.(interface{ CloseWrite() error }); ok {
			closed = cw.CloseWrite() == nil
			return true
		}
		return false
	})
	return closed
}

// resetOnClose makes closing the connection a reset, which leaves nothing in the kernel.
func resetOnClose(conn net.Conn) {
	eachLayer(conn, func(c net.Conn) bool {
		if l, ok := c.(interface{ SetLinger(sec int) error }); ok {
			_ = l.SetLinger(0) // without it, the close is an ordinary one
			return true
		}
		return false
	})
}
