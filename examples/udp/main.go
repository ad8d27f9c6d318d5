// Command udp stores what devices report over UDP, until they stop reporting. The
// README shows how to talk to it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sessionwheel/sessionwheel/udp"
)

const (
	exitRuntime = 1
	exitUsage   = 2
)

// config holds the values of the flags.
type config struct {
	addr             string
	idle, drain      time.Duration
	maxSessions      int
	maxSessionsPerIP int
}

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// run runs the program and returns its exit status.
func run(args []string, stderr io.Writer) int {
	cfg, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "udp: %v; see --help\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // so that a second signal ends the process
	if err := serve(ctx, cfg, slog.New(slog.NewTextHandler(stderr, nil))); err != nil {
		fmt.Fprintf(stderr, "udp: %v\n", err)
		return exitRuntime
	}
	return 0
}

// parse parses the command line. If help is requested, it prints the help and returns
// flag.ErrHelp.
func parse(args []string, stderr io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("udp", flag.ContinueOnError)
	flags.StringVar(&cfg.addr, "addr", "127.0.0.1:9000", "`host:port` to listen on")
	flags.DurationVar(&cfg.idle, "idle", time.Minute, "forget a device after this much silence; more than 0")
	flags.DurationVar(&cfg.drain, "drain", 10*time.Second, "how long SIGINT or SIGTERM waits for callbacks to return; more than 0")
	flags.IntVar(&cfg.maxSessions, "max-sessions", 65_536, "devices at once; more than 0")
	flags.IntVar(&cfg.maxSessionsPerIP, "max-sessions-per-ip", 0, "devices at once behind one IPv4 address or one /64 network of IPv6; 0 for no limit")
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, "Usage: udp [flags]\n\nStores what devices report over UDP, until they stop reporting.\n\n")
		flags.SetOutput(stderr)
		flags.PrintDefaults()
	}
	if err != nil {
		return cfg, err
	}
	switch {
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("unexpected argument %q: there are flags only", flags.Arg(0))
	case cfg.idle <= 0:
		return cfg, errors.New("--idle must be more than 0: only silence ends a session")
	case cfg.drain <= 0:
		return cfg, errors.New("--drain must be more than 0")
	case cfg.maxSessions <= 0:
		return cfg, errors.New("--max-sessions must be more than 0: any sender can begin sessions")
	case cfg.maxSessionsPerIP < 0:
		return cfg, errors.New("--max-sessions-per-ip must not be negative; 0 means no limit")
	}
	return cfg, nil
}

// serve runs the server until ctx ends and then drains it.
func serve(ctx context.Context, cfg config, log *slog.Logger) error {
	pc, err := net.ListenPacket("udp", cfg.addr)
	if err != nil {
		return fmt.Errorf("--addr: %w", err)
	}
	srv := newDevices(cfg, log).srv
	log.Info("listening", "addr", pc.LocalAddr().String(), "idle", cfg.idle)
	draining, drain := context.WithCancel(context.Background())
	context.AfterFunc(ctx, func() {
		log.Info("draining", "devices", srv.Stats().Sessions, "limit", cfg.drain)
		drain()
	})
	switch err := srv.Run(draining, pc); {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("not drained within --drain %v: %w", cfg.drain, err)
	case err != nil:
		return err
	}
	st := srv.Stats()
	log.Info("stopped", "sessions", st.Registered, "received", st.Received, "handled", st.Handled,
		"refused", st.RefusedFull+st.RefusedPerIP, "dropped", st.TooLarge+st.PendingFull, "without_cookie", st.NotAdmitted)
	return nil
}

// newDevices returns the protocol with its server.
func newDevices(cfg config, log *slog.Logger) *devices {
	d := &devices{byName: make(map[string]*udp.Session)}
	d.srv = &udp.Server{
		IdleTimeout:          cfg.idle,
		DrainTimeout:         cfg.drain,
		Activity:             udp.Received, // sending to a device does not show that it is alive
		MaxSessions:          cfg.maxSessions,
		MaxSessionsPerIP:     cfg.maxSessionsPerIP,
		MaxDatagram:          maxDatagram,
		Admit:                d.admit,
		OnNewSessionRegister: d.onNew,
		OnMessage:            d.onMessage,
		Farewell:             d.farewell,
		OnSessionClosed:      d.onClosed,
		Logger:               log,
	}
	return d
}
