package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/charts"
	"github.com/sessionwheel/sessionwheel/lab/bench/report"
	"github.com/sessionwheel/sessionwheel/lab/bench/run"
	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

type compareCmd struct {
	Quick  bool   `help:"End in under two minutes: fewer rounds and smaller sizes. A full run takes up to twenty."`
	Only   string `placeholder:"REGEXP" help:"Only the works whose name matches, as in \"touch|memory\"."`
	Impl   string `placeholder:"REGEXP" help:"Only the implementations whose name matches, beside sessionwheel."`
	Rounds int    `placeholder:"N" help:"How many rounds of each work."`
	Size   []int  `placeholder:"N,..." help:"How many sessions or connections, in place of the works' own sizes."`
	Out    string `default:"bench-results" type:"path" placeholder:"DIR" help:"Where results.json, results.csv and the charts go (default: ./bench-results)."`
}

// config is what run makes of the flags.
func (c compareCmd) config() (run.Config, error) {
	cfg := run.Config{Quick: c.Quick, Rounds: c.Rounds, Sizes: c.Size}
	if c.Rounds < 0 {
		return cfg, fmt.Errorf("--rounds is %d: use at least 1, or 0 for what each work suggests", c.Rounds)
	}
	for _, n := range c.Size {
		if n < 0 {
			return cfg, fmt.Errorf("--size is %d: use at least 0", n)
		}
	}
	var err error
	if c.Only != "" {
		if cfg.Only, err = regexp.Compile(c.Only); err != nil {
			return cfg, fmt.Errorf("--only: %w", err)
		}
	}
	if c.Impl != "" {
		if cfg.Impl, err = regexp.Compile(c.Impl); err != nil {
			return cfg, fmt.Errorf("--impl: %w", err)
		}
	}
	return cfg, nil
}

func (c compareCmd) Run(ctx context.Context, std stdio) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	steps, err := run.Plan(cfg)
	if err != nil {
		return err
	}
	if load := works.Load(); load > float64(runtime.GOMAXPROCS(0))/2 {
		fmt.Fprintf(std.err, "bench: other programs keep the machine busy (load %.1f on %d cores): wall times will be off\n",
			load, runtime.GOMAXPROCS(0))
	}
	start := time.Now()
	p, end := run.NewProgress(std.err, len(steps))
	results, stopped := run.Run(ctx, steps, p)
	end()
	rs := report.Results(results)
	verdicts := report.Judge(rs, report.Goals())
	if err := report.Table(std.out, rs); err != nil {
		return err
	}
	if err := report.GoalTable(std.out, verdicts); err != nil {
		return err
	}
	files, err := write(c.Out, report.NewDocument(rs, verdicts, c.Quick, stopped == nil))
	if err != nil {
		return errors.Join(stopped, err)
	}
	fmt.Fprintf(std.out, "\n%v; results.json, results.csv and %d charts are in %s\n", time.Since(start).Round(time.Second), files, c.Out)
	return stopped
}

// write writes everything into dir, and counts the charts' files.
func write(dir string, d report.Document) (int, error) {
	if err := d.Write(dir); err != nil {
		return 0, err
	}
	files, err := charts.Write(dir, d.Results)
	return len(files), err
}

// listCmd says what there is to compare.
type listCmd struct{}

func (listCmd) Run(std stdio) error {
	seen := make(map[string]bool)
	for _, w := range works.All() {
		fmt.Fprintf(std.out, "%s: %s\n", w.Name, w.About)
	}
	for _, w := range works.All() {
		for _, impl := range w.Impls() {
			text := fmt.Sprintf("\n%s  %s\n  %s\n", impl.Name, impl.Module, impl.How)
			if !seen[text] {
				seen[text] = true
				fmt.Fprint(std.out, text)
			}
		}
	}
	return nil
}

// chartsCmd draws what an earlier run has measured.
type chartsCmd struct {
	Results string `arg:"" type:"existingfile" help:"A results.json."`
	Out     string `type:"path" placeholder:"DIR" help:"Where the charts go (default: beside it)."`
}

func (c chartsCmd) Run(std stdio) error {
	d, err := report.Read(c.Results)
	if err != nil {
		return err
	}
	if c.Out == "" {
		c.Out = filepath.Dir(c.Results)
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return err
	}
	files, err := charts.Write(c.Out, d.Results)
	for _, f := range files {
		fmt.Fprintln(std.out, f)
	}
	return err
}
