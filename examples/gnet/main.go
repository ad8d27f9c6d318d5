// Command gnet echoes frames on gnet's event loops and closes idle connections with a
// sessionwheel pool. The README says what to copy.
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
)

const (
	exitRuntime = 1
	exitUsage   = 2
)

// config holds the values of the flags.
type config struct {
	addr           string
	timeout, drain time.Duration
	maxSessions    int
	maxFrame       int
	verbose        bool
}

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// run runs the program and returns its exit status.
func run(args []string, stderr io.Writer) int {
	cfg, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "gnet: %v; see --help\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // so that a second signal ends the process
	level := slog.LevelInfo
	if cfg.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	if err := serve(ctx, cfg, log); err != nil {
		fmt.Fprintf(stderr, "gnet: %v\n", err)
		return exitRuntime
	}
	return 0
}

// parse parses the command line. If help is requested, it prints the help and returns
// flag.ErrHelp.
func parse(args []string, stderr io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("gnet", flag.ContinueOnError)
	flags.StringVar(&cfg.addr, "addr", "127.0.0.1:7000", "`host:port` to listen on; port 0 takes a free one")
	flags.DurationVar(&cfg.timeout, "timeout", time.Minute, "close a session after this much time without a whole frame; more than 0")
	flags.DurationVar(&cfg.drain, "drain", 10*time.Second, "how long SIGINT or SIGTERM waits for the sessions to end; more than 0")
	flags.IntVar(&cfg.maxSessions, "max-sessions", 10_000, "sessions at once; more than 0")
	flags.IntVar(&cfg.maxFrame, "max-frame", largestFrame, "`bytes` of a frame, including its header of 4")
	flags.BoolVar(&cfg.verbose, "verbose", false, "log each session that ends, and why")
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, "Usage: gnet [flags]\n\nEchoes frames ('$', length, '#', body) on gnet's event loops.\n\n")
		flags.SetOutput(stderr)
		flags.PrintDefaults()
	}
	if err != nil {
		return cfg, err
	}
	switch {
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("unexpected argument %q: there are flags only", flags.Arg(0))
	case cfg.timeout <= 0:
		return cfg, errors.New("--timeout must be more than 0: connections of vanished peers would never be closed")
	case cfg.drain <= 0:
		return cfg, errors.New("--drain must be more than 0")
	case cfg.maxSessions <= 0:
		return cfg, errors.New("--max-sessions must be more than 0: gnet ends when it runs out of open files")
	case cfg.maxFrame < frameHeader || cfg.maxFrame > largestFrame:
		return cfg, fmt.Errorf("--max-frame must be from %d to %d bytes", frameHeader, largestFrame)
	}
	if _, err := net.ResolveTCPAddr("tcp", cfg.addr); err != nil {
		return cfg, fmt.Errorf("--addr must be host:port: %w", err)
	}
	return cfg, nil
}
