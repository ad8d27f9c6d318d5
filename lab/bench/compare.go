package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/charts"
	"github.com/sessionwheel/sessionwheel/lab/bench/cli"
	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
	"github.com/sessionwheel/sessionwheel/lab/bench/report"
	"github.com/sessionwheel/sessionwheel/lab/bench/run"
)

// compareCmd runs the workloads. It is the default command.
type compareCmd struct {
	Quick   bool   `help:"Use fewer rounds and smaller sizes: four minutes in place of up to thirty."`
	Only    string `placeholder:"REGEXP" help:"Run only the workloads whose names match, as in \"touch|memory\"."`
	Impl    string `placeholder:"REGEXP" help:"Measure only the implementations whose names match, and sessionwheel."`
	Rounds  int    `placeholder:"N" help:"Run each workload N times."`
	Size    []int  `placeholder:"N" help:"Use N sessions or connections in place of the workloads' own sizes."`
	Out     string `default:"bench-results" type:"path" placeholder:"DIR" help:"Write results.json, results.csv and the charts to DIR (default: bench-results)."`
	Verbose bool   `help:"List the cases that were left out and the goals that were not measured."`

	program string // as the user knows it
}

// Help returns the part of the help that precedes the flags.
func (c *compareCmd) Help() string {
	return fmt.Sprintf(`Use an idle machine with 8 GB of memory, and "ulimit -n 20000" for the connections. Ctrl-C ends the run, and shows and writes the results so far.

Other commands:

    %[1]s list                  list the workloads and the implementations
    %[1]s charts RESULTS.JSON   draw the charts of an earlier run again
`, c.program)
}

// config checks the flags.
func (c *compareCmd) config() (run.Config, error) {
	cfg := run.Config{Quick: c.Quick, Rounds: c.Rounds, Sizes: c.Size}
	if c.Rounds < 0 {
		return cfg, fmt.Errorf("--rounds is %d: use at least 1, or 0 for each workload's own number", c.Rounds)
	}
	var err error
	if cfg.Only, err = compile("--only", c.Only); err != nil {
		return cfg, err
	}
	if cfg.Impl, err = compile("--impl", c.Impl); err != nil {
		return cfg, err
	}
	workloads := cfg.Workloads()
	if len(workloads) == 0 {
		return cfg, fmt.Errorf("--only %q matches no workload: the workloads are %s", c.Only, workloadNames(measure.Workloads()))
	}
	if impls := implNames(workloads); cfg.Impl != nil && !slices.ContainsFunc(impls, cfg.Impl.MatchString) {
		return cfg, fmt.Errorf("--impl %q matches no implementation: these workloads have %s", c.Impl, strings.Join(impls, ", "))
	}
	for _, n := range c.Size {
		for _, w := range workloads {
			if n < w.MinSize {
				return cfg, fmt.Errorf("--size is %d: %s needs at least %d", n, w.Name, w.MinSize)
			}
		}
	}
	return cfg, nil
}

// compile compiles the value of a flag; "" is nil.
func compile(flag, value string) (*regexp.Regexp, error) {
	if value == "" {
		return nil, nil
	}
	re, err := regexp.Compile(value)
	if err != nil {
		return nil, fmt.Errorf("%s is no regular expression: %w", flag, err)
	}
	return re, nil
}

func workloadNames(workloads []measure.Workload) string {
	var names []string
	for _, w := range workloads {
		names = append(names, w.Name)
	}
	return strings.Join(names, ", ")
}

// implNames returns the implementations of the workloads, in order.
func implNames(workloads []measure.Workload) (names []string) {
	for _, w := range workloads {
		for _, impl := range w.Impls() {
			if !slices.Contains(names, impl.Name) {
				names = append(names, impl.Name)
			}
		}
	}
	return names
}

// createOut creates the directory for the files and checks that it is writable.
func createOut(dir string) error {
	if dir == "" {
		return errors.New("--out is empty: name a directory")
	}
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".writable-*"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("--out: %w: use a directory that you can write to", err)
	}
	return nil
}

func (c *compareCmd) run(ctx context.Context, std cli.Stdio) error {
	cfg, err := c.config()
	if err != nil {
		return &cli.UsageError{Command: c.program, Err: err}
	}
	steps, err := run.Plan(cfg)
	if err != nil {
		return err
	}
	if err := createOut(c.Out); err != nil {
		return &cli.UsageError{Command: c.program, Err: err}
	}
	if load := procstat.LoadAverage(); load > float64(runtime.GOMAXPROCS(0))/2 {
		fmt.Fprintf(std.Err, "%s: the machine is busy (load %.1f on %d cores): wall times will be too long\n",
			c.program, load, runtime.GOMAXPROCS(0))
	}
	start := time.Now()
	progress, stop := run.NewProgress(std.Err, steps)
	results, interrupted := run.Run(ctx, steps, progress)
	stop()
	doc := report.NewDocument(results, report.Evaluate(results, report.Goals()), c.Quick, interrupted == nil)
	files, writeErr := writeFiles(c.Out, doc)
	showErr := c.show(std.Out, doc)
	if err := errors.Join(writeErr, showErr); err != nil {
		return err
	}
	fmt.Fprintf(std.Out, "\n%v; results.json, results.csv and %d charts are in %s\n", time.Since(start).Round(time.Second), files, c.Out)
	return interrupted
}

// show prints the tables and the goals.
func (c *compareCmd) show(out io.Writer, d report.Document) error {
	if err := report.Table(out, d.Results); err != nil {
		return err
	}
	if err := report.GoalTable(out, d.Goals, c.Verbose); err != nil {
		return err
	}
	return report.LeftOut(out, d.Results, c.Verbose)
}

// writeFiles writes the results and the charts to dir, and returns the number of
// the charts' files.
func writeFiles(dir string, d report.Document) (int, error) {
	if err := d.Write(dir); err != nil {
		return 0, err
	}
	files, err := charts.Write(dir, d.Results)
	return len(files), err
}
