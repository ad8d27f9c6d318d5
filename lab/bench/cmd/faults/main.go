// Command faults does harm to this project's sessions, and to what one would
// otherwise keep sessions with, and shows what each makes of it: a Markdown
// table, and JSON.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sessionwheel/sessionwheel/lab/bench/faults"
)

const (
	exitRuntime     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// stdio is where a command writes: results to out, progress to err.
type stdio struct{ out, err io.Writer }

func main() {
	os.Exit(execute(os.Args[1:], stdio{os.Stdout, os.Stderr}))
}

// execute is the whole program but for the exit. It returns the exit status; only
// --help exits from within.
func execute(args []string, std stdio) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, args, std)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(std.err, "faults: interrupted; what was measured by then is shown and written")
		return exitInterrupted
	case errors.Is(err, errUsage):
		fmt.Fprintln(std.err, strings.Join(strings.Fields(err.Error()), " ")+" (see \"faults --help\")")
		return exitUsage
	default:
		fmt.Fprintln(std.err, err)
		return exitRuntime
	}
}

func run(ctx context.Context, args []string, std stdio) error {
	if len(args) > 0 && args[0] == faults.ChildCommand {
		var c childCmd
		if err := parse(&c, args[1:], std); err != nil {
			return err
		}
		return c.run(ctx, std)
	}
	var c runCmd
	if err := parse(&c, args, std); err != nil {
		return err
	}
	return c.run(ctx, std)
}

func parse(into any, args []string, std stdio) error {
	parser, err := kong.New(into,
		kong.Name("faults"),
		kong.Description("Injects faults into sessionwheel and into what one would otherwise keep sessions with, each in a process of its own, and shows what each makes of it: a Markdown table. A full run takes about ten minutes and, for a moment, 4 GB of memory. Nobody's clock is set."),
		kong.Writers(std.out, std.err),
		kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 80}),
	)
	if err != nil {
		panic(err) // the tags are wrong
	}
	if _, err := parser.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return nil
}

// errUsage is beneath the errors that a flag caused.
var errUsage = errors.New("faults: wrong usage")

type runCmd struct {
	Only  string `placeholder:"REGEXP" help:"Only the faults whose name matches, as in \"clock|freeze\"."`
	Impl  string `placeholder:"REGEXP" help:"Only the implementations whose name matches, beside sessionwheel."`
	JSON  string `name:"json" type:"path" placeholder:"FILE" help:"Write all that was measured to FILE."`
	Short bool   `help:"Fewer sessions and less time: about five minutes, and weaker figures."`
	List  bool   `help:"List the faults and the implementations, and run nothing."`
}

// config is what faults.Plan makes of the flags.
func (c runCmd) config() (cfg faults.Config, err error) {
	cfg.Short = c.Short
	if c.Only != "" {
		if cfg.Only, err = regexp.Compile(c.Only); err != nil {
			return cfg, fmt.Errorf("%w: --only: %w", errUsage, err)
		}
	}
	if c.Impl != "" {
		if cfg.Impl, err = regexp.Compile(c.Impl); err != nil {
			return cfg, fmt.Errorf("%w: --impl: %w", errUsage, err)
		}
	}
	return cfg, nil
}

func (c runCmd) run(ctx context.Context, std stdio) error {
	if c.List {
		return list(std.out)
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	cases, err := faults.Plan(cfg)
	if err != nil {
		return fmt.Errorf("%w: --only: %w", errUsage, err)
	}
	start, n := time.Now(), 0
	results, stopped := faults.Run(ctx, cases, func(r faults.Result) {
		n++
		fmt.Fprintf(std.err, "%d/%d %s, %s: %s\n", n, len(cases), r.Fault, r.Impl, faults.Cell(r))
	})
	fmt.Fprintf(std.out, "%s, one run of %v\n\n", faults.Header(), time.Since(start).Round(time.Second))
	if err := faults.Table(std.out, results); err != nil {
		return err
	}
	if c.JSON != "" {
		if err := faults.WriteJSON(c.JSON, results, stopped == nil); err != nil {
			return errors.Join(stopped, err)
		}
	}
	return stopped
}

func list(out io.Writer) error {
	text := new(strings.Builder)
	for _, f := range faults.All() {
		fmt.Fprintf(text, "%s: %s\n", f.Name, f.About)
	}
	for _, m := range faults.Impls() {
		fmt.Fprintf(text, "\n%s\n  %s\n", m.Name, m.How)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// childCmd runs one case, for a parent that reads it from the pipe. It is no part
// of the help.
type childCmd struct {
	Fault string `arg:""`
	Impl  string `arg:""`
	Short bool
}

func (c childCmd) run(ctx context.Context, std stdio) error {
	return faults.Child(ctx, std.out, faults.Case{Fault: c.Fault, Impl: c.Impl, Short: c.Short})
}
