// Command bench does the same work with this project and with what one would
// otherwise use, side by side on this machine, and shows who does how well: a
// table, JSON and CSV files, and charts.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

const (
	exitRuntime     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// cli is the command line.
type cli struct {
	Compare   compareCmd `cmd:"" default:"withargs" help:"Compare (the default command)."`
	List      listCmd    `cmd:"" help:"List the works, the implementations and how each is used."`
	Charts    chartsCmd  `cmd:"" help:"Draw the charts of a results.json again."`
	RunCase   caseCmd    `cmd:"" hidden:"" name:"run-case"`
	ServeCase serveCmd   `cmd:"" hidden:"" name:"serve-case"`
}

// stdio is where a command writes: results to out, progress to err.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	os.Exit(execute(os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}))
}

// execute is the whole program but for the exit. It returns the exit status; only
// --help exits from within.
func execute(args []string, std stdio) int {
	var c cli
	parser, err := kong.New(&c,
		kong.Name("bench"),
		kong.Description("Does the same work with sessionwheel and with what one would otherwise use, side by side, and draws it."),
		kong.Writers(std.out, std.err),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, WrapUpperBound: 80, FlagsLast: true}),
	)
	if err != nil {
		panic(err) // the tags of cli are wrong
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(std.err, "bench: %s (see \"bench --help\")\n", strings.Join(strings.Fields(err.Error()), " "))
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(std)
	switch err := parsed.Run(); {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(std.err, "bench: interrupted; what was measured by then is shown and written")
		return exitInterrupted
	default:
		fmt.Fprintln(std.err, "bench: "+err.Error())
		return exitRuntime
	}
}

// caseCmd makes one measurement, for a parent that reads it from the pipe.
type caseCmd struct {
	Work string        `arg:""`
	Impl string        `arg:""`
	Size int           `arg:""`
	Span time.Duration `default:"1s"`
}

func (c caseCmd) Run(ctx context.Context, std stdio) error {
	return works.Tell(std.out, works.Run(ctx, works.Case{Work: c.Work, Impl: c.Impl, Size: c.Size, Span: c.Span}))
}

// serveCmd runs one server, for a parent that asks it over pipes.
type serveCmd struct {
	Name string `arg:""`
}

func (c serveCmd) Run(std stdio) error { return works.Serve(c.Name, std.in, std.out) }
