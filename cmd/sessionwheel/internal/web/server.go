// Package web is the HTTP server beside a command's own server: the page, its API,
// health, profiles and, where they are built in, metrics.
package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	runtimepprof "runtime/pprof"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/errno"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/openfiles"
	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// What a client of the HTTP server may cost.
const (
	maxBody = 64 << 10 // bytes; only a login needs one

	// Of the process's descriptors the HTTP server takes one in descriptorShare, but
	// not more than maxConnections.
	descriptorShare = 8
	maxConnections  = 256
)

// lastAnswers is how long Shutdown waits for answers that are being written. A client
// that does not read delays the end no longer.
const lastAnswers = time.Second

// ExposedNote is what the user is told of --http-open beyond the loopback.
const ExposedNote = "the page needs no token (--http-open): anyone who can connect to it sees all sessions"

// Shown is what the HTTP server shows. Source and Wheel are required.
type Shown struct {
	Title  string
	Source dashboard.Source // the server
	Wheel  *wheel.Wheel     // that the server keeps its timers in

	// Of a node of a cluster; nil without one.
	Cluster  dashboard.Cluster
	Isolated func() (isolated, takes bool) // whether it has lost its lease, and takes logins

	Metrics http.Handler // of /metrics; nil: there is none
}

// Server is a running HTTP server. Nil is one that was not asked for; its methods
// do nothing.
type Server struct {
	URL     string // of the page
	Login   string // the same with a token that was made for this run; "" if none was
	Exposed bool   // anyone beyond this machine can read it

	server *http.Server
	dash   *dashboard.Handler // nil: no page
	health health
	hangUp context.CancelFunc // ends what a request is waiting for
	ended  chan struct{}      // closed when serving has ended
	err    error              // why; read it when ended is closed
}

// Listen returns a listener on addr. The error names the flag that addr came from.
func Listen(addr, flag string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, errno.InUse) {
		return nil, fmt.Errorf("cannot listen on %s: the address is in use: stop the program that has it, or choose another %s", addr, flag)
	} else if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w: choose another %s", addr, reason(err), flag)
	}
	return ln, nil
}

// reason removes the operation and the address from a network error, for a message
// that names them itself.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// Listen returns the listener that the flags ask for, and nil if they ask for none.
func (c *Config) Listen() (net.Listener, error) {
	if c.HTTP == "" {
		return nil, nil
	}
	addr, err := c.addr()
	if err != nil {
		return nil, err
	}
	return Listen(addr, "--http")
}

// Serve starts to serve on ln what the flags ask for. It returns nil if ln is nil.
// It owns ln, also if it returns an error. The server ends with Shutdown.
func (c *Config) Serve(ln net.Listener, shown Shown, log *slog.Logger) (*Server, error) {
	if ln == nil {
		return nil, nil
	}
	h := &Server{ended: make(chan struct{}), URL: pageURL(ln.Addr())}
	handler, err := h.handler(c, ln.Addr(), shown)
	if err != nil {
		_ = ln.Close()
		return nil, err
	}
	requests, hangUp := context.WithCancel(context.Background())
	h.hangUp = hangUp
	h.server = &http.Server{
		Handler:           newGuard(ln.Addr(), c.HTTPHost, http.MaxBytesHandler(handler, maxBody)),
		ReadHeaderTimeout: c.headerTimeout,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	limited := dashboard.Limit(h.server, ln, connections())
	log.Info("http", "url", h.URL, "page", c.Page, "close", c.HTTPClose, "open", c.HTTPOpen, "metrics", c.Metrics, "healthz", c.Healthz, "pprof", c.Pprof)
	if h.Exposed {
		log.Warn(ExposedNote, "url", h.URL)
	}
	go func() { // ended and waited for by Shutdown
		defer close(h.ended)
		h.err = h.server.Serve(limited)
	}()
	return h, nil
}

// connections is how many connections the HTTP server may have, so that the server
// beside it keeps most of the descriptors.
func connections() int {
	files := openfiles.Limit()
	if files == 0 {
		return maxConnections
	}
	return min(max(1, files/descriptorShare), maxConnections)
}

// handler is all that is served on addr, behind the token if there is one.
func (h *Server) handler(c *Config, addr net.Addr, shown Shown) (http.Handler, error) {
	token, err := flags.ReadToken("--http-token-file", c.HTTPTokenFile)
	if err != nil {
		return nil, err
	}
	needed := token != "" && !c.HTTPOpen
	if h.Exposed = !onLoopback(addr) && !needed; h.Exposed && !c.HTTPOpen {
		return nil, errNoToken
	}
	if token == "" && c.HTTPClose {
		token = rand.Text()
		h.Login = h.URL + "?token=" + token
	}
	if token == "" {
		return h.routes(c, shown, nil)
	}
	_, port, _ := net.SplitHostPort(addr.String())
	a := newAccess(token, port, needed)
	mux, err := h.routes(c, shown, a.authorize)
	if err != nil {
		return nil, err
	}
	return &gate{access: a, next: mux}, nil
}

// routes is what there is to serve. A session can be closed if authorize says so.
func (h *Server) routes(c *Config, shown Shown, authorize func(*http.Request) error) (*http.ServeMux, error) {
	mux := http.NewServeMux()
	if c.Page {
		config := dashboard.Config{
			Title: shown.Title, Source: shown.Source, Wheel: shown.Wheel,
			Cluster: shown.Cluster,
			Hosts:   []string{"*"}, // guard has checked
		}
		if c.HTTPClose {
			config.Authorize = authorize
		}
		dash, err := dashboard.New(config)
		if err != nil {
			return nil, err
		}
		h.dash = dash
		mux.Handle("/", dash)
	}
	if c.Healthz {
		h.health.isolated = shown.Isolated
		mux.Handle(healthPath, &h.health)
	}
	metrics := shown.Metrics
	if metrics == nil {
		metrics = absent("--metrics")
	}
	mux.Handle("/metrics", metrics)
	profiles := absent("--pprof")
	if c.Pprof {
		profiles = newProfiles()
	}
	mux.Handle("/debug/pprof/", profiles)
	return mux, nil
}

// newProfiles serves the profiles of package pprof, but not the command line, which may
// contain something that not everyone should see.
func newProfiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/{$}", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	for _, p := range runtimepprof.Profiles() {
		mux.Handle("/debug/pprof/"+p.Name(), pprof.Handler(p.Name()))
	}
	return mux
}

// absent answers requests for something that needs a flag, which was not given.
func absent(flag string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusNotFound, "there is nothing here: start sessionwheel with "+flag+", beside --http")
	})
}

// Ended is closed when serving has ended by itself, or by Shutdown.
func (h *Server) Ended() <-chan struct{} {
	if h == nil {
		return nil
	}
	return h.ended
}

// Drain lets /healthz say that the server is about to end.
func (h *Server) Drain() {
	if h != nil {
		h.health.draining.Store(true)
	}
}

// Shutdown ends the server: event streams and profiles at once, and other requests when
// they are answered, within a second. It is an error if ctx ends first.
func (h *Server) Shutdown(ctx context.Context) error {
	if h == nil {
		return nil
	}
	h.Drain()
	h.hangUp()
	var streams sync.WaitGroup
	if h.dash != nil {
		streams.Go(h.dash.Close)
	}
	answered, cancel := context.WithTimeout(ctx, lastAnswers)
	defer cancel()
	if h.server.Shutdown(answered) != nil {
		_ = h.server.Close() // the connections that are left
	}
	streams.Wait()
	<-h.ended
	if !errors.Is(h.err, http.ErrServerClosed) {
		return fmt.Errorf("--http: %w", h.err)
	}
	return ctx.Err()
}

// pageURL is where a browser on this machine finds what listens on addr.
func pageURL(addr net.Addr) string {
	at, err := netip.ParseAddrPort(addr.String())
	if err == nil && at.Addr().IsUnspecified() {
		return fmt.Sprintf("http://localhost:%d/", at.Port())
	}
	return "http://" + addr.String() + "/"
}

func onLoopback(addr net.Addr) bool {
	at, err := netip.ParseAddrPort(addr.String())
	return err == nil && at.Addr().IsLoopback()
}
