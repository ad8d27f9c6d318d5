// Command faults injects faults into this project's sessions, and into what one
// would use in their place. It prints a Markdown table of the consequences, and
// writes JSON.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/cli"
	"github.com/sessionwheel/sessionwheel/lab/bench/faults"
)

const (
	program = "faults"
	about   = "Inject faults into sessionwheel and into what one would use in its place, each in a process of its own. Print a Markdown table of the consequences. A full run takes about ten minutes and, for a short time, 4 GB of memory. The machine's clock is not set."
)

func main() {
	os.Exit(execute(os.Args[1:], cli.OS()))
}

// execute runs the program and returns its exit status.
func execute(args []string, std cli.Stdio) int {
	return cli.Execute(program, std, func(ctx context.Context, std cli.Stdio) error {
		return run(ctx, args, std)
	})
}

func run(ctx context.Context, args []string, std cli.Stdio) error {
	if len(args) > 0 && args[0] == faults.ChildCommand {
		var c childCmd
		if help, err := cli.Parse(&c, program+" "+args[0], "Run one case, for the parent process.", args[1:], std); help || err != nil {
			return err
		}
		return c.run(ctx, std)
	}
	var c runCmd
	if help, err := cli.Parse(&c, program, about, args, std); help || err != nil {
		return err
	}
	return c.run(ctx, std)
}

// runCmd runs the faults.
type runCmd struct {
	Only  string `placeholder:"REGEXP" help:"Inject only the faults whose names match, as in \"clock|freeze\"."`
	Impl  string `placeholder:"REGEXP" help:"Use only the implementations whose names match, and sessionwheel."`
	JSON  string `name:"json" type:"path" placeholder:"FILE" help:"Write all figures to FILE."`
	Short bool   `help:"Use fewer sessions and less time: about five minutes, and rougher figures."`
	List  bool   `help:"List the faults and the implementations, and run nothing."`
}

// plan checks the flags and lists the cases.
func (c runCmd) plan() ([]faults.Case, error) {
	cfg := faults.Config{Short: c.Short}
	var err error
	if c.Only != "" {
		if cfg.Only, err = regexp.Compile(c.Only); err != nil {
			return nil, fmt.Errorf("--only is no regular expression: %w", err)
		}
	}
	if c.Impl != "" {
		if cfg.Impl, err = regexp.Compile(c.Impl); err != nil {
			return nil, fmt.Errorf("--impl is no regular expression: %w", err)
		}
	}
	cases, err := faults.Plan(cfg)
	if err != nil {
		return nil, fmt.Errorf("--only %q matches no fault: --list shows their names", c.Only)
	}
	if cfg.Impl != nil && !slices.ContainsFunc(faults.Impls(), func(m faults.Impl) bool { return cfg.Impl.MatchString(m.Name) }) {
		return nil, fmt.Errorf("--impl %q matches no implementation: --list shows their names", c.Impl)
	}
	if c.JSON != "" {
		f, err := os.OpenFile(c.JSON, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fmt.Errorf("--json: %w: use a file that you can write to", err)
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("--json: %w", err)
		}
	}
	return cases, nil
}

func (c runCmd) run(ctx context.Context, std cli.Stdio) error {
	if c.List {
		return list(std.Out)
	}
	cases, err := c.plan()
	if err != nil {
		return &cli.UsageError{Command: program, Err: err}
	}
	start, n := time.Now(), 0
	results, interrupted := faults.Run(ctx, cases, func(r faults.Result) {
		n++
		fmt.Fprintf(std.Err, "%d/%d %s, %s: %s\n", n, len(cases), r.Fault, r.Impl, faults.Cell(r))
	})
	var writeErr error
	if c.JSON != "" {
		writeErr = faults.WriteJSON(c.JSON, results, interrupted == nil)
	}
	fmt.Fprintf(std.Out, "%s, one run of %v\n\n", faults.Header(), time.Since(start).Round(time.Second))
	if err := errors.Join(writeErr, faults.Table(std.Out, results)); err != nil {
		return err
	}
	return interrupted
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

// childCmd runs one case for a parent process, which reads the result from a
// pipe.
type childCmd struct {
	Fault string `arg:""`
	Impl  string `arg:""`
	Short bool
}

func (c childCmd) run(ctx context.Context, std cli.Stdio) error {
	return faults.Child(ctx, std.Out, faults.Case{Fault: c.Fault, Impl: c.Impl, Short: c.Short})
}
