package udp

import (
	"context"
	"fmt"
)

// Shutdown stops the server gracefully. Serve stops reading and returns; each
// session handles its pending datagrams and is closed with the reason
// pool.Shutdown. What Farewell returns is sent, and OnSessionClosed may still send.
// Shutdown returns nil when every callback has returned, the server's goroutines have
// ended and the socket is closed. Datagrams that the operating system holds for the
// socket are lost.
//
// If ctx ends first, Shutdown closes the socket and the remaining sessions and
// returns an error that wraps the context's; callbacks that are running go on.
// Another call, even one after Close, waits like the first. Shutdown must not be
// called from a callback, because it waits for it. A server cannot be used again
// after Shutdown.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.stop()
	p := srv.sessions.Load()
	if p == nil {
		return nil
	}
	defer srv.socket.close()
	for _, ps := range p.All() {
		(*Session)(ps.Conn()).drain(ps)
	}
	select {
	case <-srv.drained:
		srv.runQueue.done.Wait() // returns soon: no session is left
		return p.Shutdown(ctx)
	case <-ctx.Done():
	}
	left := srv.running()
	_ = p.Shutdown(ctx) // closes the rest; ctx has ended, so its error is reported below
	return fmt.Errorf("udp: Shutdown: %d sessions had not ended: %w", left, ctx.Err())
}

// Close stops the server at once. It closes the socket, so that nothing more can be
// sent, and closes all sessions with the reason pool.Shutdown; pending datagrams
// are dropped. Close does not wait for callbacks and may be called from one; a
// Shutdown afterwards waits for them. It always returns nil.
func (srv *Server) Close() error {
	srv.stop()
	if p := srv.sessions.Load(); p != nil {
		srv.socket.close()
		_ = p.Shutdown(context.Background()) // waits for no callback
	}
	return nil
}

// stop makes Serve return and keeps new sessions from beginning.
func (srv *Server) stop() {
	if srv.markClosing() {
		srv.socket.interrupt()
	}
}

// markClosing sets closing. It reports true on the first call if there is a socket.
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

// running returns the number of sessions whose OnSessionClosed has not returned.
func (srv *Server) running() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.active
}
