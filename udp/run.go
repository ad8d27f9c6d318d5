package udp

import (
	"cmp"
	"context"
	"errors"
	"net"
)

// Run serves pc until ctx ends, and then shuts the server down. If pc is nil, it listens on
// Server.Addr.
//
// At the end Run calls Shutdown, and waits for it no longer than DrainTimeout. It returns nil if
// everything has ended by then, and otherwise the error of Shutdown. It also returns when other
// code has called Shutdown or Close.
//
// If Serve fails, the server is shut down as well, and the error includes that of Serve. A
// server cannot be used again after Run. The exception is a server that has a socket already: it
// goes on with that one, the error is ErrServing, and pc is left open. Run must not be called from
// a callback, because it waits for it.
func (srv *Server) Run(ctx context.Context, pc net.PacketConn) error {
	if srv.isServing() {
		return ErrServing
	}
	served := make(chan error, 1)
	go func() { // ends with Shutdown, and is waited for below
		if pc == nil {
			served <- srv.ListenAndServe()
		} else {
			served <- srv.Serve(pc)
		}
	}()
	var err error
	select {
	case err = <-served:
		if errors.Is(err, ErrServing) {
			return err
		}
	case <-ctx.Done():
	}
	limit, cancel := srv.drainLimit()
	defer cancel()
	down := srv.Shutdown(limit)
	if err == nil {
		err = <-served
	}
	if errors.Is(err, ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, down)
}

// isServing reports whether the server has a socket and is not closing.
func (srv *Server) isServing() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.socket != nil && !srv.closing.Load()
}

// drainLimit returns the context for the Shutdown of Run.
func (srv *Server) drainLimit() (context.Context, context.CancelFunc) {
	if srv.DrainTimeout < 0 {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), cmp.Or(srv.DrainTimeout, defaultDrainTimeout))
}
