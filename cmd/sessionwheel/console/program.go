package console

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/command"
)

// Exit statuses. Beside these, a program that a signal has ended exits with 128
// and the signal's number.
const (
	ExitRuntime = 1 // an error, or a verdict that is bad
	ExitUsage   = 2 // the command line is wrong
)

// ErrFailed is returned by a command that has printed a bad verdict: the exit
// status is ExitRuntime and nothing more is printed.
var ErrFailed = errors.New("failed")

// Std is where a command writes: results to Out, logs and errors to Err.
type Std struct{ Out, Err io.Writer }

// Program is a program with commands. All of sessionwheel's programs share the
// name sessionwheel, since that one starts the others.
type Program struct {
	// Commands points to a struct as package command has it. Each command, or the
	// command that it is in, is a Runner.
	Commands any

	// Description is the first paragraph of the help.
	Description string
}

// Runner runs a command.
type Runner interface {
	Run(ctx context.Context, call Call) error
}

// Call is what a command is run with.
type Call struct {
	Std

	Args    []string // the whole command line, without the program's name
	Command any      // points to the struct of the command
}

// Run parses the command line and runs the command. It returns the exit status.
func (p Program) Run(args []string, std Std) (status int) {
	ctx, stop := withSignals(context.Background(), std.Err)
	defer stop()
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	out := &Output{w: std.Out}
	out.failed = func() { lost(out.lost()) }
	status = p.run(ctx, args, Std{out, std.Err})
	if status == 0 && out.lost() != nil {
		return exitStatus(out.lost(), std.Err)
	}
	return status
}

// run is Run with an output that remembers errors.
func (p Program) run(ctx context.Context, args []string, std Std) (status int) {
	program := command.New("sessionwheel", p.Description, p.Commands)
	line, err := program.Parse(args)
	switch {
	case err != nil:
		fmt.Fprintln(std.Err, "sessionwheel: "+OneLine(err))
		return ExitUsage
	case line.Help:
		return exitStatus(program.Help(std.Out, line), std.Err)
	case line.Version:
		_, err := fmt.Fprintln(std.Out, Version())
		return exitStatus(err, std.Err)
	}
	for _, c := range append([]any{line.Command}, line.Parents...) {
		if r, ok := c.(Runner); ok {
			return exitStatus(r.Run(ctx, Call{Std: std, Args: args, Command: line.Command}), std.Err)
		}
	}
	panic(fmt.Sprintf("console: %T is no Runner, and neither is what it is in", line.Command))
}

// exitStatus prints a command's error in one line, unless the command has shown
// it, and returns the exit status.
func exitStatus(err error, stderr io.Writer) int {
	var sig SignalError
	var status StatusError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.Is(err, ErrFailed):
		return ExitRuntime
	case errors.As(err, &sig):
		fmt.Fprintln(stderr, "sessionwheel: "+sig.Error())
		return sig.status()
	default:
		fmt.Fprintln(stderr, "sessionwheel: "+OneLine(err))
		return ExitRuntime
	}
}

// StatusError is the exit status of a command that has already said why.
type StatusError int

func (e StatusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
