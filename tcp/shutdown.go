package tcp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Shutdown stops the server gracefully. It closes the listeners and then all sessions with
// the reason pool.Shutdown, evenly over DrainOver: a session that waits for input at once,
// and one in a callback after it has handled the whole frames that it has read already. Each
// is sent its Farewell. Shutdown returns nil when every callback has returned, the last
// connection is closed, and the server's goroutines have ended.
//
// If ctx ends first, Shutdown closes the remaining sessions and connections and returns an
// error that wraps the context's; callbacks that are running go on. Another call, even one
// after Close, waits like the first. Shutdown must not be called from a callback, because it
// waits for it. A server cannot be used again after Shutdown.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.stop()
	p := srv.sessions.Load()
	if p == nil {
		return nil
	}
	closers := srv.drainAll(ctx, p)
	select {
	case <-srv.drained:
		closers.Wait() // each has closed its connections: that is what the sessions waited for
		srv.flusher.stop()
		err := errors.Join(p.Shutdown(ctx), srv.stopBindings(ctx))
		srv.release()
		srv.workers.running.Wait()
		return err
	case <-ctx.Done():
	}
	left := srv.running()
	srv.cutLingering()
	_ = p.Shutdown(ctx) // closes what is left; that it does not wait is told below
	_ = srv.stopBindings(ctx)
	srv.release()
	return fmt.Errorf("tcp: Shutdown: %d sessions had not ended: %w", left, context.Cause(ctx))
}

// closeAtOnce bounds the goroutines that Shutdown closes connections on.
const closeAtOnce = 64

// drainStep is how often Shutdown closes some sessions of those that it spreads.
const drainStep = 10 * time.Millisecond

// drainAll drains all sessions, over DrainOver. Those to close are closed on goroutines, so
// that a connection whose Close blocks holds up itself alone; they end when all is closed,
// and the caller waits for them.
func (srv *Server) drainAll(ctx context.Context, p *sessions) *sync.WaitGroup {
	var (
		closers sync.WaitGroup
		all     []*pool.Session[int64, *transport]
	)
	for _, ps := range p.All() {
		all = append(all, ps)
	}
	start, done := time.Now(), 0
	for done < len(all) {
		upTo := len(all)
		if passed := time.Since(start); passed < srv.DrainOver {
			upTo = int(float64(len(all)) * float64(passed) / float64(srv.DrainOver))
		}
		closeAll(&closers, drain(all[done:upTo]))
		done = upTo
		if done < len(all) && !srv.pause(ctx, drainStep) {
			return &closers
		}
	}
	return &closers
}

// pause waits for d. It reports false if no session is left before, or ctx ends.
func (srv *Server) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-srv.drained:
	case <-ctx.Done():
	}
	return false
}

// drain drains some sessions, and returns those that are to be closed.
func drain(some []*pool.Session[int64, *transport]) (waiting []*pool.Session[int64, *transport]) {
	for _, ps := range some {
		if (*Session)(ps.Conn()).drain() {
			waiting = append(waiting, ps)
		}
	}
	return waiting
}

// closeAll closes sessions on goroutines, for which closers waits.
func closeAll(closers *sync.WaitGroup, waiting []*pool.Session[int64, *transport]) {
	var claimed atomic.Int64
	for range min(len(waiting), closeAtOnce) {
		closers.Go(func() {
			for i := claimed.Add(1) - 1; i < int64(len(waiting)); i = claimed.Add(1) - 1 {
				waiting[i].Close(pool.Shutdown)
			}
		})
	}
}

// StopListening closes the listeners and accepts no more connections: Serve returns
// ErrServerClosed, even if it is called later. Sessions go on. It does not wait, and may be
// called several times and from callbacks.
func (srv *Server) StopListening() {
	for _, l := range srv.markDeaf() {
		_ = l.Close() // Serve returns ErrServerClosed either way
	}
}

// Close stops the server at once. It closes the listeners and all sessions, with the reason
// pool.Shutdown, and returns when their connections are closed. What is queued is sent as far
// as the sockets take it, and no farewell. Close does not wait for callbacks and may be called
// from one; a Shutdown afterwards waits for them. It always returns nil.
func (srv *Server) Close() error {
	srv.stop()
	srv.cutLingering()
	if p := srv.sessions.Load(); p != nil {
		_ = p.Shutdown(context.Background()) // waits for connections' Close alone
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = srv.stopBindings(over) // they end with their sessions
		srv.release()
	}
	return nil
}

// release ends what the server keeps for its sessions, all of which are closed. It waits for
// no callback.
func (srv *Server) release() {
	srv.workers.stop()
	srv.stopPolling()
	if srv.wheel != srv.Wheel {
		srv.wheel.Close()
	}
}

// stop makes Serve return, and lets no session begin from now on.
func (srv *Server) stop() {
	srv.StopListening()
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if !srv.closing.Swap(true) && srv.drained != nil {
		srv.checkDrainedLocked()
	}
}

// markDeaf returns the listeners to close; none but the first time.
func (srv *Server) markDeaf() []*onceListener {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.deaf.Swap(true) || srv.stopped == nil {
		return nil
	}
	close(srv.stopped)
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
