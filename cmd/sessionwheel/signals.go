package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// signalError is the cause with which a signal cancels a command's context.
type signalError struct{ signal os.Signal }

func (e signalError) Error() string {
	if e.signal == os.Interrupt {
		return "interrupted"
	}
	return "stopped by signal: " + e.signal.String()
}

// status is the exit status a shell gives a program that died of the signal.
func (e signalError) status() int {
	if n, ok := e.signal.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return exitRuntime
}

// leaving is called before a second signal ends the process, if it is set.
var leaving atomic.Pointer[func()]

// atExit has f called if a second signal ends the process, until forget is.
func atExit(f func()) (forget func()) {
	leaving.Store(&f)
	return func() { leaving.Store(nil) }
}

// leave says that the process ends at once, and waits only a moment for a terminal
// that takes no output.
func leave(stderr io.Writer) {
	said := make(chan struct{})
	go func() { // the process ends next
		defer close(said)
		if f := leaving.Load(); f != nil {
			(*f)()
		}
		fmt.Fprintln(stderr, "sessionwheel: second signal, leaving at once")
	}()
	select {
	case <-said:
	case <-time.After(time.Second):
	}
}

// withSignals returns a context that the first SIGINT or SIGTERM cancels, with
// a signalError as its cause. A second one ends the process at once, whatever
// the command is doing. stop gives the signals back to the runtime.
func withSignals(parent context.Context, stderr io.Writer) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() { // owned by the caller; ended and waited for by stop
		defer close(ended)
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case sig := <-signals:
				if n == 0 {
					cancel(signalError{sig})
					continue
				}
				leave(stderr)
				os.Exit(signalError{sig}.status())
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		<-ended
		cancel(nil)
	}
}
