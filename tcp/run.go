package tcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Run serves until ctx ends, and then shuts the server down. It accepts connections from all
// given listeners, or from one on Server.Addr if there are none; all are closed when it returns.
//
// At the end Run calls Shutdown, and waits for it no longer than DrainOver and DrainTimeout
// together. It returns nil if everything has ended by then, and otherwise the error of Shutdown.
// It also returns when other code has called Shutdown or Close. After StopListening the sessions
// go on until ctx ends.
//
// If a listener fails, the server is shut down as well, and the error includes that of Serve. A
// server cannot be used again after Run. Run must not be called from a callback, because it
// waits for it.
func (srv *Server) Run(ctx context.Context, listeners ...net.Listener) error {
	if len(listeners) == 0 {
		l, err := srv.listen()
		if err != nil {
			_ = srv.Close() // its error is nil
			return err
		}
		listeners = []net.Listener{l}
	}
	if err := srv.start(); err != nil {
		for _, l := range listeners {
			_ = l.Close() // it is unused
		}
		return err
	}
	var serving sync.WaitGroup
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		serving.Go(func() { // ends with Shutdown
			if err := srv.Serve(l); !errors.Is(err, ErrServerClosed) {
				failed <- err
			}
		})
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	case <-srv.drained: // somebody else has shut it down
	}
	limit, cancel := srv.drainLimit()
	defer cancel()
	err = errors.Join(err, srv.Shutdown(limit))
	serving.Wait()
	return err
}

// drainLimit returns the context for the Shutdown of Run.
func (srv *Server) drainLimit() (context.Context, context.CancelFunc) {
	if srv.DrainTimeout < 0 {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), max(0, srv.DrainOver)+cmp.Or(srv.DrainTimeout, defaultDrainTimeout))
}

// listen listens on Server.Addr.
func (srv *Server) listen() (net.Listener, error) {
	if srv.Addr == "" {
		return nil, errors.New(`tcp: Server.Addr is empty: use "host:port", or ":port" for all addresses`)
	}
	if err := srv.start(); err != nil { // before the port is taken
		return nil, err
	}
	l, err := net.Listen("tcp", srv.Addr)
	if err != nil {
		return nil, fmt.Errorf("tcp: listen on Server.Addr: %w", err)
	}
	return l, nil
}
