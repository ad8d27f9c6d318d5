package tcp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Shutdown stops the server gracefully. It closes the listeners and then all sessions with
// the reason pool.Shutdown: a session that waits for input at once, and one in a callback
// after it has handled the whole frames that it has read already. Shutdown returns nil when
// every callback has returned and the server's goroutines have ended.
//
// If ctx ends first, Shutdown closes the remaining sessions and returns an error that wraps
// the context's; callbacks that are running go on. Another call, also one after Close, waits
// like the first. Shutdown must not be called from a callback, because it waits for it. A
// server cannot be used again after Shutdown.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.stop()
	p := srv.sessions.Load()
	if p == nil {
		return nil
	}
	closers := drainAll(p)
	select {
	case <-srv.drained:
		closers.Wait() // each has closed its connections: that is what the sessions waited for
		return errors.Join(p.Shutdown(ctx), srv.stopBindings(ctx))
	case <-ctx.Done():
	}
	left := srv.running()
	_ = p.Shutdown(ctx) // closes what is left; that it does not wait is told below
	_ = srv.stopBindings(ctx)
	return fmt.Errorf("tcp: Shutdown: %d sessions had not ended: %w", left, ctx.Err())
}

// closeAtOnce bounds the goroutines that Shutdown closes connections on.
const closeAtOnce = 64

// drainAll drains all sessions. Those to close are closed on goroutines, so that
// a connection whose Close blocks holds up itself alone; they end when all is
// closed, and the caller waits for them.
func drainAll(p *sessions) *sync.WaitGroup {
	var waiting []*pool.Session[int64, *transport]
	for _, ps := range p.All() {
		if (*Session)(ps.Conn()).drain() {
			waiting = append(waiting, ps)
		}
	}
	var (
		closers sync.WaitGroup
		claimed atomic.Int64
	)
	for range min(len(waiting), closeAtOnce) {
		closers.Go(func() {
			for i := claimed.Add(1) - 1; i < int64(len(waiting)); i = claimed.Add(1) - 1 {
				waiting[i].Close(pool.Shutdown)
			}
		})
	}
	return &closers
}

// Close stops the server at once. It closes the listeners and all sessions, with the reason
// pool.Shutdown, and returns when their connections are closed. Close does not wait for
// callbacks and may be called from one; a Shutdown afterwards waits for them. It always
// returns nil.
func (srv *Server) Close() error {
	srv.stop()
	if p := srv.sessions.Load(); p != nil {
		_ = p.Shutdown(context.Background()) // waits for connections' Close alone
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = srv.stopBindings(over) // they end with their sessions
	}
	return nil
}

// stop makes Serve return, and lets no session begin from now on.
func (srv *Server) stop() {
	for _, l := range srv.markClosing() {
		_ = l.Close() // Serve returns ErrServerClosed either way
	}
}

// markClosing returns the listeners to close; none but the first time.
func (srv *Server) markClosing() []*onceListener {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closing.Swap(true) || srv.stopped == nil {
		return nil
	}
	close(srv.stopped)
	srv.checkDrainedLocked()
	var ls []*onceListener
	for l := range srv.listeners {
		ls = append(ls, l)
	}
	return ls
}

func (srv *Server) running() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.active
}
