package tcp

import "fmt"

// handshakeMemory is what a TLS handshake counts for in MaxPendingBytes.
const handshakeMemory = 32 << 10

// reserve counts n bytes towards MaxPendingBytes, unless that would be exceeded.
func (srv *Server) reserve(n int) bool {
	if srv.pending.Add(int64(n)) <= srv.maxPendingBytes {
		return true
	}
	srv.pending.Add(-int64(n))
	return false
}

func (srv *Server) unreserve(n int) {
	if n != 0 {
		srv.pending.Add(-int64(n))
	}
}

// overload is the end of a session that needs more memory than the server has left.
func (s *Session) overload() *fault {
	return &fault{ReasonOverload, fmt.Errorf("%w: Server.MaxPendingBytes, %d, is reached", ErrOverload, s.server.maxPendingBytes)}
}

// reserveInput counts the buffer of a frame of which part has been read. It reports false if
// that is too much.
func (s *Session) reserveInput() bool {
	if need := len(s.buf.data); need > s.reserved {
		if !s.server.reserve(need - s.reserved) {
			return false
		}
		s.reserved = need
	}
	return true
}

func (s *Session) unreserveInput() {
	if s.reserved > 0 {
		s.server.unreserve(s.reserved)
		s.reserved = 0
	}
}
