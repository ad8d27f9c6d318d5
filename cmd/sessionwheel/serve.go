package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

type serveConfig struct {
	Addr         string        `default:"127.0.0.1:7000" help:"Address to listen on, host:port; port 0 takes a free one."`
	Idle         time.Duration `default:"5m" help:"Idle timeout: how long nothing must happen on a session until it is closed. 0 means never."`
	Split        string        `default:"lines" enum:"lines,frames" help:"What a message is: lines (ended by a newline) or frames ('$', a length of two bytes, '#', the body)."`
	MaxFrame     int           `default:"131072" help:"Longest message in bytes, as sent; a longer one ends its session."`
	MaxLifetime  time.Duration `default:"0s" help:"How long a session may last, however active. 0 means no limit."`
	FrameTimeout time.Duration `default:"30s" help:"How long one message may take to arrive, from its first byte. 0 means no limit."`
	WriteTimeout time.Duration `default:"30s" help:"How long a peer may leave what it is sent unread. 0 means no limit."`

	MaxSessions      int `default:"0" help:"Sessions at once; further connections are closed. 0 means 65,536."`
	MaxSessionsPerIP int `name:"max-sessions-per-ip" default:"0" help:"Sessions at once from one IP address, or one /64 network of IPv6. 0 means no limit."`

	TLSCert string `name:"tls-cert" placeholder:"FILE" type:"existingfile" help:"Certificate in PEM, with its chain. Together with --tls-key it turns TLS on."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" type:"existingfile" help:"Private key in PEM of --tls-cert."`

	httpConfig `embed:""`
	nodeConfig `embed:""`

	LogFormat string        `default:"text" enum:"text,json" help:"Format of the log on standard error: text or json."`
	LogLevel  string        `default:"info" enum:"debug,info,warn,error" help:"Least level to log: debug (each message too), info (sessions opening and closing), warn or error."`
	Drain     time.Duration `default:"10s" help:"How long SIGINT or SIGTERM waits for sessions to end. A second signal does not wait."`

	EndWithStdin bool `hidden:"" help:"Do as on SIGTERM at the end of standard input, such as when the process ends that has the other side."`
}

// Help is the text below the summary of serve --help.
func (serveConfig) Help() string {
	return "Each message is sent back as it came, and counts as activity. " +
		"SIGINT and SIGTERM end the server in order, with exit status 0. " +
		"With --cluster the server is a node of a cluster, on brokers that run elsewhere or, with --cluster embedded, on one in this process. " +
		"The first message of a session may then be \"login NAME\", which is answered with \"ok\" or \"error: ...\": " +
		"a session that had the name before, on whichever node, is closed with \"Replaced\". " +
		"A value shown behind a flag is its default."
}

// Validate is called by kong once the flags are set.
func (c *serveConfig) Validate() error {
	if err := checkAddr(c.Addr); err != nil {
		return err
	}
	switch {
	case c.Idle < 0:
		return errors.New("--idle must not be negative; 0 means never")
	case c.MaxLifetime < 0:
		return errors.New("--max-lifetime must not be negative; 0 means no limit")
	case c.FrameTimeout < 0:
		return errors.New("--frame-timeout must not be negative; 0 means no limit")
	case c.WriteTimeout < 0:
		return errors.New("--write-timeout must not be negative; 0 means no limit")
	case c.MaxFrame < 1:
		return errors.New("--max-frame must be at least 1")
	case c.MaxSessions < 0:
		return errors.New("--max-sessions must not be negative; 0 means no limit")
	case c.MaxSessionsPerIP < 0:
		return errors.New("--max-sessions-per-ip must not be negative; 0 means no limit")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together: give both or neither")
	case c.Drain <= 0:
		return errors.New("--drain must be more than 0")
	}
	if err := c.httpConfig.check(); err != nil {
		return err
	}
	return c.nodeConfig.check()
}

func checkAddr(addr string) error {
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		return fmt.Errorf("--addr must be host:port, such as 127.0.0.1:7000, not %q", addr)
	}
	return nil
}

// runServe serves until ctx ends, drains and returns nil. It writes its log to w.
func runServe(ctx context.Context, w io.Writer, cfg serveConfig) error {
	var config *tls.Config
	if cfg.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			return fmt.Errorf("--tls-cert %s, --tls-key %s: %w", cfg.TLSCert, cfg.TLSKey, err)
		}
		config = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	log := newLogger(w, cfg)
	timers, err := wheel.New(wheel.Config{Logger: log})
	if err != nil {
		return err
	}
	defer timers.Close()
	srv := echoServer(cfg, config, log)
	srv.Wheel = timers
	if cfg.EndWithStdin {
		ctx = untilEOF(ctx, os.Stdin)
	}
	node, err := joinCluster(ctx, cfg.nodeConfig, srv, protocolOf(cfg.Split), log)
	if err != nil && ctx.Err() == nil {
		return err
	}
	if err == nil {
		if err := errors.Join(serve(ctx, srv, node, cfg, log), node.leave(cfg.Drain)); err != nil {
			return err
		}
	}
	log.Info("stopped")
	return nil
}

// serve is runServe with a server and its node.
func serve(ctx context.Context, srv *tcp.Server, node *member, cfg serveConfig, log *slog.Logger) error {
	ln, err := listen(cfg.Addr, "--addr")
	if err != nil {
		return err
	}
	page, err := newWeb(cfg.httpConfig, watched{server: srv, wheel: srv.Wheel, node: node}, log)
	if err != nil {
		_ = ln.Close()
		return err
	}
	log.Info("listening", "addr", ln.Addr().String(), "split", cfg.Split, "idle", cfg.Idle, "tls", srv.TLSConfig != nil)

	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }() // ended by Shutdown or Close; waited for below
	var broken error
	select {
	case err := <-served:
		served <- err
		broken = fmt.Errorf("serve %s: %w", cfg.Addr, err)
	case err := <-page.ended():
		page.served <- err
		broken = fmt.Errorf("--http: %w", err)
	case <-ctx.Done():
		log.Info("draining", "cause", context.Cause(ctx).Error(), "limit", cfg.Drain)
	}
	page.drain()
	err = shutdown(srv, page, cfg.Drain)
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
func shutdown(srv *tcp.Server, page *web, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := srv.Shutdown(ctx)
	if end := page.shutdown(ctx); end != nil && err == nil {
		return fmt.Errorf("the HTTP server did not end within --drain %v: %w", limit, end)
	}
	if err != nil {
		// It has closed what was left; a moment for that to be logged.
		last, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = srv.Shutdown(last)
		return fmt.Errorf("not drained within --drain %v: the sessions that were left were cut off", limit)
	}
	return nil
}

// listen listens on addr. The error names the flag that addr came from.
func listen(addr, flag string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, errnoInUse) {
		return nil, fmt.Errorf("cannot listen on %s: the address is in use: stop the program that has it, or choose another %s", addr, flag)
	} else if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w: choose another %s", addr, reason(err), flag)
	}
	return ln, nil
}

// reason takes the operation and the address off a network error, for a message
// that names them already.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

func newLogger(w io.Writer, cfg serveConfig) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // the flag allows none but slog's names
	opts := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// faultsOnly hands on what the library logs of faults, and not the sessions that
// it logs as well.
type faultsOnly struct{ slog.Handler }

// Enabled leaves out what is no fault.
func (h faultsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// orNever turns the 0 that means no limit here into the library's negative.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// echo is what the server keeps of one session. Its callbacks are serial.
type echo struct {
	frames, bytes uint64 // received, without what sets frames apart
	reply         []byte

	// With --cluster, as reception has it.
	past    bool          // no message is a login any more
	greeted bool          // welcome is closed
	welcome chan struct{} // closed when a login was answered with "ok", or the session has ended
}

// echoServer returns a server that sends each message back and logs sessions.
func echoServer(cfg serveConfig, config *tls.Config, log *slog.Logger) *tcp.Server {
	proto := protocolOf(cfg.Split)
	var open atomic.Int64
	sessions := pool.LimitLog(log)
	return &tcp.Server{
		TLSConfig:        config,
		Split:            proto.split,
		MaxFrame:         cfg.MaxFrame,
		IdleTimeout:      orNever(cfg.Idle),
		MaxLifetime:      cfg.MaxLifetime,
		FrameTimeout:     orNever(cfg.FrameTimeout),
		WriteTimeout:     orNever(cfg.WriteTimeout),
		MaxSessions:      cfg.MaxSessions,
		MaxSessionsPerIP: cfg.MaxSessionsPerIP,
		Logger:           slog.New(faultsOnly{log.Handler()}),
		OnNewSessionRegister: func(s *tcp.Session) {
			s.SetValue(&echo{welcome: make(chan struct{})})
			sessions.Info("session opened", "session", s.ID(), "remote", s.RemoteAddr().String(), "open", open.Add(1))
		},
		OnMessage: func(s *tcp.Session, body []byte) {
			e := s.Value().(*echo)
			e.frames++
			e.bytes += uint64(len(body))
			log.Debug("message", "session", s.ID(), "bytes", len(body))
			var err error
			if e.reply, err = proto.append(e.reply[:0], body); err == nil {
				err = s.Send(e.reply)
			}
			if err != nil {
				log.Debug("not sent", "session", s.ID(), "error", err)
			}
		},
		OnSessionClosed: func(s *tcp.Session, reason pool.Reason) {
			e, now := s.Value().(*echo), time.Now()
			log := sessions
			if name := s.BoundID(); name != "" {
				log = log.With("name", name)
			}
			log.Info("session closed", "session", s.ID(), "remote", s.RemoteAddr().String(), "reason", string(reason),
				"idle", now.Sub(s.LastActive()).Round(time.Millisecond), "age", now.Sub(s.RegisteredAt()).Round(time.Millisecond),
				"frames", e.frames, "bytes", e.bytes, "open", open.Add(-1))
		},
	}
}
