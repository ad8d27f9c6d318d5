package console

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

// SignalError is the cause with which a signal cancels a command's context.
type SignalError struct{ Signal os.Signal }

func (e SignalError) Error() string {
	if e.Signal == os.Interrupt {
		return "interrupted"
	}
	return "stopped by signal: " + e.Signal.String()
}

// status is the exit status a shell gives a program that died of the signal.
func (e SignalError) status() int {
	if n, ok := e.Signal.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return ExitRuntime
}

// leaving is called before a second signal ends the process, if it is set.
var leaving atomic.Pointer[func()]

// AtExit has f called if a second signal ends the process, until forget is
// called.
func AtExit(f func()) (forget func()) {
	leaving.Store(&f)
	return func() { leaving.Store(nil) }
}

// leave reports that the process ends at once. It waits for at most a second for
// a terminal that takes no output.
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
// a SignalError as its cause. A second one ends the process at once, whatever
// the command is doing. stop returns the signals to the runtime.
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
					cancel(SignalError{sig})
					continue
				}
				leave(stderr)
				os.Exit(SignalError{sig}.status())
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
