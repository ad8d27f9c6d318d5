package udp

import (
	"context"
	"fmt"
)

// Shutdown ends the server: Serve reads no more, and returns; then the sessions
// are drained. Each handles what is pending for it and is closed with the reason
// pool.Shutdown; its OnSessionClosed may send a last word. Shutdown returns nil
// when every session's last callback has returned, the server's goroutines have
// ended, and the socket is closed. What the operating system holds for the
// socket unread is lost.
//
// If ctx ends first, the socket and the sessions that are left are closed without
// more ado, and the error wraps the context's; their callbacks still run to their
// ends. A further call, also one after Close, waits as the first does. Shutdown
// must not be called from a callback, which it would wait for. A server never
// serves again.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.stop()
	p := srv.sessions.Load()
	if p == nil {
		return nil
	}
	defer srv.socket.close()
	for _, ps := range p.All() {
		(*Session)(ps.Conn()).drain()
	}
	select {
	case <-srv.drained:
		srv.turns.done.Wait() // no session is left to work for
		return p.Shutdown(ctx)
	case <-ctx.Done():
	}
	left := srv.running()
	_ = p.Shutdown(ctx) // closes what is left; that it does not wait is told below
	return fmt.Errorf("udp: Shutdown: %d sessions had not ended: %w", left, ctx.Err())
}

// Close ends the server at once: it closes the socket, and all sessions with the
// reason pool.Shutdown, whatever they are doing; nothing can be sent any more.
// It does not wait for callbacks, so it may be called from one; Shutdown after
// it waits for them. It always returns nil.
func (srv *Server) Close() error {
	srv.stop()
	if p := srv.sessions.Load(); p != nil {
		srv.socket.close()
		_ = p.Shutdown(context.Background()) // waits for no callback
	}
	return nil
}

// stop makes Serve return, and lets no session begin from now on.
func (srv *Server) stop() {
	if srv.markClosing() {
		srv.socket.interrupt()
	}
}

// markClosing reports true the first time, if there is a socket.
func (srv *Server) markClosing() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closing.Swap(true) || srv.socket == nil {
		return false
	}
	close(srv.stopped)
	srv.checkDrainedLocked()
	return true
}

// running is the number of sessions that have not ended.
func (srv *Server) running() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.active
}
