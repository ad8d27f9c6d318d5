// Command websocket is a chat server for browsers. See README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen on this `host:port`; port 0 takes a free one")
	timeout := flag.Duration("timeout", time.Minute, "close a session after this `time` without a message or a pong; 1s or more")
	drainOver := flag.Duration("drain-over", 0, "after a signal, close the sessions spread over this `time`, so that they do not all come back at once")
	flag.Parse() // exits with status 2 when a flag is wrong
	if *timeout < time.Second || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "websocket: --timeout must be 1s or more, and there are no arguments except flags; see --help")
		os.Exit(2)
	}
	if err := run(*addr, *timeout, *drainOver); err != nil {
		fmt.Fprintln(os.Stderr, "websocket:", err)
		os.Exit(1)
	}
}

// run serves until SIGINT or SIGTERM, and then closes all sessions.
func run(addr string, timeout, drainOver time.Duration) error {
	signaled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := newChat(timeout, drainOver, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("--addr %s: %w", addr, err)
	}
	fmt.Fprintf(os.Stderr, "websocket: open http://%s\n", l.Addr())
	ctx, drain := context.WithCancel(context.Background())
	context.AfterFunc(signaled, func() {
		stop() // another signal ends the process
		fmt.Fprintln(os.Stderr, "websocket: the server is going away")
		drain()
	})
	return c.Run(ctx, l)
}
