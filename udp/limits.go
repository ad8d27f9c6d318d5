package udp

import "github.com/sessionwheel/sessionwheel/pool"

// enter counts a new session. It returns an error, and counts nothing, if the server
// is closing or MaxSessions is reached.
func (srv *Server) enter() error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.closing.Load():
		return ErrServerClosed
	case srv.maxSessions > 0 && srv.active >= srv.maxSessions:
		return pool.ErrFull
	}
	srv.active++
	return nil
}

// leave stops counting a session towards MaxSessions: its OnSessionClosed has
// returned.
func (srv *Server) leave() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.active--
	srv.checkDrainedLocked()
}

// readEnded records that Serve no longer reads the socket.
func (srv *Server) readEnded() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.reading = false
	srv.checkDrainedLocked()
}

// checkDrainedLocked closes drained if the server is closing, Serve does not read
// and no session is left.
func (srv *Server) checkDrainedLocked() {
	if srv.closing.Load() && srv.active == 0 && !srv.reading {
		close(srv.drained)
	}
}
