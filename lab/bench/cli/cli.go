// Package cli is what the command lines of the programs in this module have in
// common: flags, exit statuses, and output that fails if it cannot be written.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit statuses, beside 0.
const (
	ExitRuntime     = 1
	ExitUsage       = 2
	ExitInterrupted = 130
)

// Stdio is where a program reads and writes: results go to Out, progress to Err.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// OS returns the process's standard streams.
func OS() Stdio { return Stdio{os.Stdin, os.Stdout, os.Stderr} }

// UsageError is an error in the command line.
type UsageError struct {
	Command string // the command whose help describes the flags, as in "bench charts"
	Err     error
}

func (e *UsageError) Error() string { return fmt.Sprintf("%v (see \"%s --help\")", e.Err, e.Command) }
func (e *UsageError) Unwrap() error { return e.Err }

// Execute calls run, prints its error in one line and returns the exit status. The
// context ends at an interrupt. It is an error if run's output could not be
// written, even if run ignores that.
func Execute(program string, std Stdio, run func(context.Context, Stdio) error) (status int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	out := &checkedWriter{w: std.Out}
	std.Out = out
	err := run(ctx, std)
	var usage *UsageError
	status = ExitRuntime
	switch {
	case out.err != nil && (err == nil || errors.As(err, &usage)):
		err = fmt.Errorf("cannot write the output: %w", out.err)
	case err == nil:
		return 0
	case errors.As(err, &usage):
		status = ExitUsage
	case errors.Is(err, context.Canceled):
		err = errors.New("interrupted: the results so far were shown and written")
		status = ExitInterrupted
	}
	fmt.Fprintf(std.Err, "%s: %s\n", program, strings.ReplaceAll(err.Error(), "\n", "; "))
	return status
}

// checkedWriter remembers the first error of a Write, so that output to a full
// disk or a closed pipe does not pass for success.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
}

// Parse parses the flags of the command with the given full name into the fields
// of c. It reports whether it printed the help, which leaves nothing to run. All
// its errors are UsageErrors.
func Parse(c any, name, about string, args []string, std Stdio) (help bool, err error) {
	parser, err := kong.New(c,
		kong.Name(name),
		kong.Description(about),
		kong.Writers(std.Out, std.Err),
		kong.Exit(func(int) { help = true }),
		kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 80}),
	)
	if err != nil {
		panic(err) // the tags of c are wrong
	}
	if _, err := parser.Parse(args); err != nil && !help {
		return false, &UsageError{name, plainError(err)}
	}
	return help, nil
}

// plainError replaces the parser's terms by plain ones.
func plainError(err error) error {
	text := err.Error()
	if flag, _, found := strings.Cut(text, ": expected "); found && strings.HasSuffix(text, "(<EOL>)") {
		return fmt.Errorf("%s needs a value", flag)
	}
	if changed := strings.ReplaceAll(text, "a valid 64 bit int", "a whole number"); changed != text {
		return errors.New(changed)
	}
	return err
}
