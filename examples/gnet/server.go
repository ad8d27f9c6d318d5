package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"

	"github.com/sessionwheel/sessionwheel/pool"
)

// maxPending is the maximum number of bytes that wait for a peer to read, besides
// the buffers of the operating system. gnet has no limit, and cannot stop reading from
// a peer. maxPending must be more than one call of OnTraffic may write, which is a
// frame and gnet's read buffer of 64 KiB.
const maxPending = 256 << 10

// errEnded means that gnet's engine ended although stop was not called.
var errEnded = errors.New("gnet's engine ended by itself, as it does when accept runs out of open files (see the log): raise the limit (ulimit -n) or lower --max-sessions")

// server echoes frames. Its pool closes idle sessions.
type server struct {
	gnet.BuiltinEventEngine
	sessions *pool.Pool[int64, *conn]
	maxFrame int
	log      *slog.Logger
	booted   chan net.Addr // receives the address once it listens

	engine gnet.Engine // set before booted receives
	broken error       // set by OnBoot, returned by run

	lastID  atomic.Int64 // descriptors are reused, so they cannot be IDs
	stopped atomic.Bool
}

// newServer returns a server. It holds resources until run returns. closed is called
// for every session that ends, possibly on an event loop, so it must not block.
func newServer(cfg config, log *slog.Logger, closed func(*session, pool.Reason)) (*server, error) {
	p, err := pool.New(pool.Config[int64, *conn]{
		IdleTimeout:     cfg.timeout,
		MaxSessions:     cfg.maxSessions,
		OnSessionClosed: closed,
	})
	if err != nil {
		return nil, err
	}
	return &server{sessions: p, maxFrame: cfg.maxFrame, log: log, booted: make(chan net.Addr, 1)}, nil
}

// run serves on addr until stop. When it returns, closed was called for every
// session.
func (sv *server) run(addr string) error {
	err := gnet.Run(sv, "tcp://"+addr, gnet.WithMulticore(true), gnet.WithReuseAddr(true), gnet.WithLogger(gnetLog{sv.log}))
	sv.drain() // in case gnet failed before it calls OnShutdown
	switch {
	case err != nil:
		return fmt.Errorf("--addr %s: %w", addr, err)
	case sv.broken != nil:
		return sv.broken
	case !sv.stopped.Load():
		return errEnded
	}
	return nil
}

// stop closes all sessions with the reason Shutdown, and ends run. It must not be
// called before booted has received. It returns ctx's error if ctx ends first. gnet
// checks every half second whether all is closed.
func (sv *server) stop(ctx context.Context) error {
	sv.stopped.Store(true)
	if err := sv.engine.Stop(ctx); !errors.Is(err, gneterrors.ErrEngineInShutdown) {
		return err
	}
	return nil
}

// OnBoot publishes the address. gnet calls it when the socket listens, before it accepts
// a connection.
func (sv *server) OnBoot(eng gnet.Engine) gnet.Action {
	addr, err := listenAddr(eng)
	if err != nil {
		sv.broken = fmt.Errorf("address of the listener: %w", err)
		return gnet.Shutdown
	}
	sv.engine = eng
	sv.booted <- addr
	return gnet.None
}

// OnShutdown closes all sessions. gnet calls it on run's goroutine when the engine ends
// for any cause, while the event loops still run and execute the closes.
func (sv *server) OnShutdown(gnet.Engine) { sv.drain() }

// drain closes all sessions with the reason Shutdown.
func (sv *server) drain() {
	_ = sv.sessions.Shutdown(context.Background()) // fails only when a context ends
}

// listenAddr returns the address of the engine's only listener. gnet itself keeps the
// address that was requested, whose port may be 0.
func listenAddr(eng gnet.Engine) (net.Addr, error) {
	fd, err := eng.Dup()
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	return l.Addr(), l.Close()
}

// serve runs a server until ctx ends, and drains it.
func serve(ctx context.Context, cfg config, log *slog.Logger) error {
	if err := needFiles(cfg.maxSessions); err != nil {
		return err
	}
	sv, err := newServer(cfg, log, func(s *session, why pool.Reason) {
		log.Debug("closed", "session", s.ID(), "reason", why, "after", time.Since(s.RegisteredAt()))
	})
	if err != nil {
		return err
	}
	ran := make(chan error, 1)
	go func() { ran <- sv.run(cfg.addr) }() // ended by stop; waited for below
	select {
	case err := <-ran:
		return err
	case addr := <-sv.booted:
		log.Info("listening", "addr", addr.String(), "timeout", cfg.timeout)
	}
	select {
	case err := <-ran:
		return err
	case <-ctx.Done():
	}
	log.Info("draining", "sessions", sv.sessions.Len(), "limit", cfg.drain)
	limit, cancel := context.WithTimeout(context.Background(), cfg.drain)
	defer cancel()
	if err := sv.stop(limit); err != nil {
		return fmt.Errorf("not drained within --drain %v: %w", cfg.drain, err)
	}
	if err := <-ran; err != nil {
		return err
	}
	st := sv.sessions.Stats()
	log.Info("stopped", "registered", st.Registered, "closed", st.Closed, "refused", st.RefusedFull, "reasons", st.ByReason)
	return nil
}
