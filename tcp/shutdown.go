package tcp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Shutdown ends the server: it closes the listeners, then drains the sessions.
// One that waits for input is closed at once, with the reason pool.Shutdown; one
// that is in a callback first handles the whole frames that it has read already,
// and is closed then. Shutdown returns nil when every session's last callback
// has returned, and the server's goroutines have ended.
//
// If ctx ends first, the sessions that are left are closed without more ado,
// and the error wraps the context's; their callbacks still run to their ends. A
// further call, also one after Close, waits as the first does. Shutdown must not
// be called from a callback, which it would wait for. A server never serves
// again.
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

// Close ends the server at once: it closes the listeners and all sessions, with
// the reason pool.Shutdown, whatever they are doing. It returns when their
// connections are closed, and does not wait for callbacks, so it may be called
// from one; Shutdown after it waits for them. It always returns nil.
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
