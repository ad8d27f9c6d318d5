package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
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

// Std is where a command writes: results to Out, logs and errors to Err. Kong
// hands it to the commands' Run methods.
type Std struct{ Out, Err io.Writer }

// Program is a program with commands. All of sessionwheel's programs share the
// name sessionwheel, since that one starts the others.
type Program struct {
	// Commands points to a struct with kong's tags.
	Commands any

	// Description is the first paragraph of the help.
	Description string
}

// exited is what ends a command line that has printed a help text.
type exited int

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
	defer func() {
		switch v := recover().(type) {
		case nil:
		case exited:
			status = int(v)
		default:
			panic(v)
		}
	}()
	parser, err := p.parser(std)
	if err != nil {
		panic(err) // the tags of p.Commands are wrong
	}
	parsed, err := parser.Parse(args)
	if out, ok := std.Out.(*Output); ok && out.lost() != nil { // the help was not written
		return exitStatus(out.lost(), std.Err)
	}
	if err != nil {
		fmt.Fprintln(std.Err, usageLine(parser, err, args))
		return ExitUsage
	}
	if c := parsed.Selected(); c != nil && len(c.Children) > 0 {
		fmt.Fprintf(std.Err, "sessionwheel: %s needs a command: %s (see %q)\n", c.Path(), strings.Join(commands(c), ", "), c.FullPath()+" --help")
		return ExitUsage
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(std, Args(args))
	return exitStatus(parsed.Run(), std.Err)
}

// Args is the whole command line, without the program's name. Kong hands it to
// the commands' Run methods.
type Args []string

func (p Program) parser(std Std) (*kong.Kong, error) {
	return kong.New(p.Commands,
		kong.Name("sessionwheel"),
		kong.Description(p.Description),
		kong.Vars{"version": Version()},
		kong.Writers(std.Out, std.Err),
		kong.Exit(func(status int) { panic(exited(status)) }),
		kong.Help(p.help),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, WrapUpperBound: 80, FlagsLast: true}),
	)
}

// help prints kong's help, and below that of the program, or of a command with
// commands of its own, the flags of the default command.
func (p Program) help(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	parent, path := ctx.Model.Node, []string(nil)
	if c := ctx.Selected(); c != nil {
		parent, path = c, strings.Fields(c.Path())
	}
	if parent.DefaultCmd == nil {
		return nil
	}
	command, err := kong.Trace(ctx.Kong, append(path, parent.DefaultCmd.Name))
	if err != nil {
		return err
	}
	var text bytes.Buffer
	stdout := ctx.Stdout
	command.Stdout = &text // which is ctx's as well
	err = kong.DefaultHelpPrinter(options, command)
	ctx.Stdout = stdout
	if err != nil {
		return err
	}
	_, flags, _ := strings.Cut(text.String(), "\nFlags:\n")
	_, flags, _ = strings.Cut(flags, "\n\n") // the program's own come first
	title := "Flags without a command"
	if !parent.DefaultCmd.Hidden {
		title = "Flags of " + parent.DefaultCmd.Name + ", the default command"
	}
	_, err = fmt.Fprintf(ctx.Stdout, "\n%s:\n%s", title, flags)
	return err
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
