package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/metrics"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// What a client of the HTTP server may cost.
const (
	httpHeaderTimeout = 5 * time.Second
	httpIdleTimeout   = 2 * time.Minute
	httpMaxHeader     = 16 << 10 // bytes
	httpMaxBody       = 64 << 10 // bytes; nothing here needs one
)

// exposedNote is told when the HTTP server is exposed.
const exposedNote = "the page has no password and --http listens beyond this machine: whoever reaches it sees all sessions"

// httpConfig is the flags of the HTTP server beside a command's own server.
type httpConfig struct {
	HTTP      string   `name:"http" placeholder:"ADDR" want:"a port, such as 8080, or host:port" help:"Serve a page that shows the sessions at this address: a port of the loopback, such as 8080, or host:port; port 0 takes a free one. Beside the page there are /metrics, /healthz and /debug/pprof/."`
	HTTPHost  []string `name:"http-host" placeholder:"NAME" help:"Name, beside localhost and IP addresses, that requests to --http may be for; may be repeated, and * allows any."`
	HTTPClose bool     `name:"http-close" help:"Let whoever sees the page close sessions."`
	Page      bool     `default:"true" negatable:"" help:"Serve the page and its API, with --http."`
	Metrics   bool     `default:"true" negatable:"" help:"Serve /metrics for Prometheus, with --http."`
	Healthz   bool     `default:"true" negatable:"" help:"Serve /healthz, with --http: 200, and 503 once the server drains, or while it is a node that has lost its lease and refuses logins."`
	Pprof     bool     `default:"true" negatable:"" help:"Serve Go's profiles at /debug/pprof/, with --http."`
}

// check says what is wrong with the flags.
func (c *httpConfig) check() error {
	if c.HTTP == "" {
		switch {
		case len(c.HTTPHost) > 0:
			return errors.New("--http-host needs --http")
		case c.HTTPClose:
			return errors.New("--http-close needs --http")
		case !c.Page, !c.Metrics, !c.Healthz, !c.Pprof:
			return errors.New("--no-page, --no-metrics, --no-healthz and --no-pprof need --http")
		}
		return nil
	}
	if _, err := c.addr(); err != nil {
		return err
	}
	for _, name := range c.HTTPHost {
		if name == "" || strings.ContainsAny(name, ":/ ") {
			return fmt.Errorf("--http-host must be a name without scheme, port and path, such as ops.example.com, not %q", name)
		}
	}
	switch {
	case !c.Page && !c.Metrics && !c.Healthz && !c.Pprof:
		return errors.New("--http has nothing left to serve: drop one of --no-page, --no-metrics, --no-healthz and --no-pprof, or --http")
	case c.HTTPClose && !c.Page:
		return errors.New("--http-close needs the page: drop --no-page")
	}
	return nil
}

// addr is where to listen. Without a host that is the loopback.
func (c *httpConfig) addr() (string, error) {
	host, port, err := net.SplitHostPort(c.HTTP)
	if err != nil { // a port alone
		host, port = "", c.HTTP
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("--http must be a port or host:port, such as 8080 or 127.0.0.1:8080, not %q", c.HTTP)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// watched is what the HTTP server shows.
type watched struct {
	title  string
	server *tcp.Server
	wheel  *wheel.Wheel // that the server keeps its timers in
	node   *member      // nil: it is in no cluster
}

// web is the HTTP server beside a command's own server. Nil is one that was not
// asked for; its methods do nothing.
type web struct {
	server *http.Server
	dash   *dashboard.Handler // nil: no page
	health health
	url    string
	hangUp context.CancelFunc // ends what a request is waiting for
	served chan error         // capacity 1: how serving ended

	exposed bool // it listens on more than the loopback
}

// newWeb starts to serve what the flags ask for, and returns nil if that is
// nothing. It ends with shutdown.
func newWeb(cfg httpConfig, shown watched, log *slog.Logger) (*web, error) {
	if cfg.HTTP == "" {
		return nil, nil
	}
	addr, err := cfg.addr()
	if err != nil {
		return nil, err
	}
	ln, err := listen(addr, "--http")
	if err != nil {
		return nil, err
	}
	h, err := startWeb(ln, cfg, shown, log)
	if err != nil {
		_ = ln.Close()
	}
	return h, err
}

// startWeb is newWeb with a listener.
func startWeb(ln net.Listener, cfg httpConfig, shown watched, log *slog.Logger) (*web, error) {
	h := &web{served: make(chan error, 1)}
	mux, err := h.routes(cfg, shown)
	if err != nil {
		return nil, err
	}
	requests, hangUp := context.WithCancel(context.Background())
	h.hangUp = hangUp
	h.server = &http.Server{
		Handler:           newGuard(ln.Addr(), cfg.HTTPHost, http.MaxBytesHandler(mux, httpMaxBody)),
		ReadHeaderTimeout: httpHeaderTimeout,
		IdleTimeout:       httpIdleTimeout,
		MaxHeaderBytes:    httpMaxHeader,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	h.url = pageURL(ln.Addr())
	h.exposed = !onLoopback(ln.Addr())
	log.Info("http", "url", h.url, "page", cfg.Page, "close", cfg.HTTPClose, "metrics", cfg.Metrics, "healthz", cfg.Healthz, "pprof", cfg.Pprof)
	if h.exposed {
		log.Warn(exposedNote, "url", h.url)
	}
	go func() { h.served <- h.server.Serve(ln) }() // ended and waited for by shutdown
	return h, nil
}

// routes is what there is to serve.
func (h *web) routes(cfg httpConfig, shown watched) (*http.ServeMux, error) {
	mux := http.NewServeMux()
	if cfg.Page {
		config := dashboard.Config{
			Title: shown.title, Source: dashboard.Server(shown.server), Wheel: shown.wheel,
			Cluster: shown.cluster(),
			Hosts:   []string{"*"}, // guard has checked
		}
		if cfg.HTTPClose {
			config.Authorize = func(*http.Request) error { return nil }
		}
		dash, err := dashboard.New(config)
		if err != nil {
			return nil, err
		}
		h.dash = dash
		mux.Handle("/", dash)
	}
	if cfg.Healthz {
		h.health.isolated = shown.node.isolated
		mux.Handle("/healthz", &h.health)
	}
	if cfg.Metrics {
		reg := prometheus.NewRegistry()
		reg.MustRegister(metrics.Server("", shown.server), metrics.Wheel("", shown.wheel),
			collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		reg.MustRegister(shown.node.collectors()...)
		mux.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	}
	if cfg.Pprof {
		profiles := http.NewServeMux()
		profiles.HandleFunc("/debug/pprof/", pprof.Index)
		profiles.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		profiles.HandleFunc("/debug/pprof/profile", pprof.Profile)
		profiles.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		profiles.HandleFunc("/debug/pprof/trace", pprof.Trace)
		mux.Handle("/debug/pprof/", notAcrossSites(profiles))
	}
	return mux, nil
}

// ended is readable when serving has ended by itself.
func (h *web) ended() <-chan error {
	if h == nil {
		return nil
	}
	return h.served
}

// drain lets /healthz say that the server is about to end.
func (h *web) drain() {
	if h != nil {
		h.health.draining.Store(true)
	}
}

// shutdown ends the server: event streams and profiles at once, other requests
// when they are answered, all of them when ctx ends, which is an error.
func (h *web) shutdown(ctx context.Context) error {
	if h == nil {
		return nil
	}
	h.drain()
	h.hangUp()
	var streams sync.WaitGroup
	if h.dash != nil {
		streams.Go(h.dash.Close)
	}
	err := h.server.Shutdown(ctx)
	if err != nil {
		_ = h.server.Close() // the connections that are left
	}
	streams.Wait()
	if end := <-h.served; !errors.Is(end, http.ErrServerClosed) {
		return fmt.Errorf("--http: %w", end)
	}
	return err
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
