// Command resp is a key-value server for Redis's clients. See README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:6380", "listen on this `host:port`; port 0 takes a free one")
	timeout := flag.Int64("timeout", 0, "close clients that are idle for this many `seconds`; 0 means never")
	flag.Parse() // exits with status 2 when a flag is wrong
	if *timeout < 0 || *timeout > maxTimeout || flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "resp: --timeout must be from 0 to %d seconds, and there are no arguments except flags\n", maxTimeout)
		os.Exit(2)
	}
	if err := run(*addr, *timeout); err != nil {
		fmt.Fprintln(os.Stderr, "resp:", err)
		os.Exit(1)
	}
}

// run serves until SIGINT or SIGTERM, and then answers the commands that were
// received.
func run(addr string, timeout int64) error {
	signaled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	sv, err := newServer(timeout)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("--addr %s: %w", addr, err)
	}
	fmt.Fprintln(os.Stderr, "resp: listening on", l.Addr())
	ctx, drain := context.WithCancel(context.Background())
	context.AfterFunc(signaled, func() {
		stop() // another signal ends the process
		fmt.Fprintln(os.Stderr, "resp: draining")
		drain()
	})
	return sv.Run(ctx, l)
}
