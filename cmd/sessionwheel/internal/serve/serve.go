// Package serve is the command serve: an echo server with a page beside it, which
// may be a node of a cluster.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/web"
	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// Extras is what only a program with the dependencies for it can do. A nil field is
// what the program cannot do.
type Extras struct {
	// Join makes srv, which does not serve yet, a node of the cluster that the flags
	// name. Logins that wait for another node are given up when ctx ends.
	Join func(ctx context.Context, cfg flags.Node, srv *tcp.Server, proto echo.Protocol, log *slog.Logger) (Node, error)

	// Metrics answers /metrics for a server. The node is nil if it is none.
	Metrics func(srv *tcp.Server, timers *wheel.Wheel, node Node) http.Handler
}

// Node is a server's node in a cluster.
type Node interface {
	// Isolated reports whether the node has lost its lease, and whether it takes
	// logins.
	Isolated() (isolated, takes bool)

	// Page is the cluster as the page shows it.
	Page() dashboard.Cluster

	// Leave takes the node out of the cluster within the limit. The server must have
	// shut down.
	Leave(limit time.Duration) error
}

// Run serves until ctx ends, drains and returns nil. It writes its log to w. It has
// no clusters and no metrics.
func Run(ctx context.Context, w io.Writer, cfg Config) error {
	return RunWith(ctx, w, cfg, Extras{})
}

// RunWith is Run with extras. They are no parameter of Run, so that its callers are
// compiled without the types of tcp.
func RunWith(ctx context.Context, w io.Writer, cfg Config, extras Extras) error {
	settings, err := cfg.settings()
	if err != nil {
		return err
	}
	log := cfg.logger(w)
	timers, err := wheel.New(wheel.Config{Logger: log})
	if err != nil {
		return err
	}
	defer timers.Close()
	srv := NewServer(settings, log)
	srv.Wheel = timers
	if cfg.EndWithStdin {
		ctx = untilEOF(ctx, os.Stdin)
	}
	r := &run{cfg: cfg, extras: extras, log: log, stderr: w, server: srv, proto: settings.Protocol}
	if err := r.listen(); err != nil {
		return err
	}
	defer r.closeListeners()
	if err := r.join(ctx); err != nil && ctx.Err() == nil {
		return err
	} else if err == nil {
		if err := errors.Join(r.serve(ctx), r.leave()); err != nil {
			return err
		}
	}
	log.Info("stopped")
	return nil
}

// run is one run of serve.
type run struct {
	cfg    Config
	extras Extras
	log    *slog.Logger
	stderr io.Writer
	server *tcp.Server
	proto  echo.Protocol
	node   Node // nil: the server is in no cluster

	ln, httpLn net.Listener // httpLn is nil without --http
}

// listen opens the listeners, before the server joins a cluster: a port that is in
// use is found before other nodes hear of this one.
func (r *run) listen() (err error) {
	if r.ln, err = web.Listen(r.cfg.Addr, "--addr"); err != nil {
		return err
	}
	if r.httpLn, err = r.cfg.HTTP.Listen(); err != nil {
		r.closeListeners()
	}
	return err
}

// closeListeners closes those that nothing serves.
func (r *run) closeListeners() {
	_ = r.ln.Close() // a second close of one that was served is of no interest
	if r.httpLn != nil {
		_ = r.httpLn.Close()
	}
}

// join makes the server a node, if the flags name a cluster.
func (r *run) join(ctx context.Context) (err error) {
	if r.cfg.Node.Cluster == "" {
		return nil
	}
	if r.extras.Join == nil {
		return errors.New("this program has no clusters")
	}
	r.node, err = r.extras.Join(ctx, r.cfg.Node, r.server, r.proto, r.log)
	return err
}

// leave takes the node out of its cluster.
func (r *run) leave() error {
	if r.node == nil {
		return nil
	}
	return r.node.Leave(r.cfg.Drain)
}

// shown is what the HTTP server shows.
func (r *run) shown() web.Shown {
	s := web.Shown{Source: dashboard.Server(r.server), Wheel: r.server.Wheel}
	if r.node != nil {
		s.Cluster, s.Isolated = r.node.Page(), r.node.Isolated
	}
	if r.cfg.HTTP.Metrics && r.extras.Metrics != nil {
		s.Metrics = r.extras.Metrics(r.server, r.server.Wheel, r.node)
	}
	return s
}

// serve serves until ctx ends, and drains.
func (r *run) serve(ctx context.Context) error {
	page, err := r.cfg.HTTP.Serve(r.httpLn, r.shown(), r.log)
	if err != nil {
		return err
	}
	if page != nil && page.Login != "" { // not in the log, which others may read
		fmt.Fprintf(r.stderr, "sessionwheel: the page with the token that closes sessions: %s\n", page.Login)
	}
	r.log.Info("listening", "addr", r.ln.Addr().String(), "split", r.cfg.Split, "idle", r.cfg.Idle, "tls", r.server.TLSConfig != nil)

	served := make(chan error, 1)
	go func() { served <- r.server.Serve(r.ln) }() // ended by Shutdown or Close; waited for below
	var broken error
	select {
	case err := <-served:
		served <- err
		broken = fmt.Errorf("serve %s: %w", r.cfg.Addr, err)
	case <-page.Ended(): // Shutdown says why
	case <-ctx.Done():
		r.log.Info("draining", "cause", context.Cause(ctx).Error(), "limit", r.cfg.Drain)
	}
	page.Drain()
	err = shutdown(r.server, page, r.cfg.Drain)
	<-served
	if broken != nil {
		return broken
	}
	return err
}

// untilEOF returns a context that ends with ctx, and at the end of r.
func untilEOF(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() { // ends with r, at the latest with the process
		_, _ = io.Copy(io.Discard, r)
		cancel(errors.New("standard input has ended"))
	}()
	return ctx
}

// shutdown drains a server for as long as limit, and ends the HTTP server beside
// it with the last session, or at the limit.
func shutdown(srv *tcp.Server, page *web.Server, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := srv.Shutdown(ctx)
	if end := page.Shutdown(ctx); end != nil && err == nil {
		if ctx.Err() == nil {
			return end
		}
		return fmt.Errorf("the HTTP server did not end within --drain %v: %w", limit, end)
	}
	if err != nil {
		// It has closed what was left; a moment for that to be logged.
		last, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = srv.Shutdown(last)
		return fmt.Errorf("not drained within --drain %v: the remaining sessions were cut off", limit)
	}
	return nil
}
