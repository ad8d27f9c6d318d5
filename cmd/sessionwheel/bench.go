package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// benchPackage is the program behind the command bench. It lies in a module of
// its own, since the rivals it builds are many and heavy.
const benchPackage = "github.com/sessionwheel/sessionwheel/lab/bench"

// benchConfig is the command line of bench.
type benchConfig struct {
	Args []string `arg:"" optional:"" help:"What follows is the benchmark's own: see \"sessionwheel bench --help\"."`
}

// runBench builds the benchmark and runs it in the place of this program: it gets
// the arguments, the streams and the signals, and its exit status is ours.
func runBench(ctx context.Context, std stdio, c benchConfig) error {
	dir, err := os.MkdirTemp("", "sessionwheel-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "bench")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, benchPackage)
	build.Stdout, build.Stderr = std.err, std.err
	switch err := build.Run(); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("bench is built when it is asked for, and the go command is not there: %w", err)
	case err != nil:
		return fmt.Errorf("bench could not be built: run it in a checkout of sessionwheel, where go.work names the module bench: %w", err)
	}
	return runProgram(ctx, std, program, c.Args)
}

// runProgram waits for the program to end, also after it was signalled.
func runProgram(ctx context.Context, std stdio, program string, args []string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, std.out, std.err
	cmd.Cancel = func() error {
		var s signalError
		if errors.As(context.Cause(ctx), &s) {
			return cmd.Process.Signal(s.signal)
		}
		return cmd.Process.Kill()
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return statusError(exit.ExitCode())
	}
	return err
}

// statusError is the exit status of a program that has said all there is to say.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
