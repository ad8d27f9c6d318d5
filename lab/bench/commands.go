package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/charts"
	"github.com/sessionwheel/sessionwheel/lab/bench/cli"
	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
	"github.com/sessionwheel/sessionwheel/lab/bench/report"
)

// listCmd lists the workloads and the implementations.
type listCmd struct{}

func (*listCmd) run(_ context.Context, std cli.Stdio) error {
	for _, w := range measure.Workloads() {
		if _, err := fmt.Fprintf(std.Out, "%s: %s\n", w.Name, w.About); err != nil {
			return err
		}
	}
	printed := make(map[string]bool)
	for _, w := range measure.Workloads() {
		for _, impl := range w.Impls() {
			text := fmt.Sprintf("\n%s  %s\n  %s\n", impl.Name, impl.Module, impl.How)
			if printed[text] {
				continue
			}
			printed[text] = true
			if _, err := fmt.Fprint(std.Out, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// chartsCmd draws the charts of an earlier run.
type chartsCmd struct {
	Results string `arg:"" name:"results.json" type:"existingfile" help:"The file that the run has written."`
	Out     string `type:"path" placeholder:"DIR" help:"Write the charts to DIR (default: beside results.json)."`

	name string // as the user knows it
}

func (c *chartsCmd) run(_ context.Context, std cli.Stdio) error {
	d, err := report.Read(c.Results)
	if err != nil {
		return err
	}
	if c.Out == "" {
		c.Out = filepath.Dir(c.Results)
	}
	if err := createOut(c.Out); err != nil {
		return &cli.UsageError{Command: c.name, Err: err}
	}
	files, err := charts.Write(c.Out, d.Results)
	for _, f := range files {
		fmt.Fprintln(std.Out, f)
	}
	return err
}

// caseCmd makes one measurement for a parent process, which reads the result from
// a pipe.
type caseCmd struct {
	Workload string        `arg:""`
	Impl     string        `arg:""`
	Size     int           `arg:""`
	Span     time.Duration `default:"1s"`
}

func (c *caseCmd) run(ctx context.Context, std cli.Stdio) error {
	r := measure.Run(ctx, measure.Case{Workload: c.Workload, Impl: c.Impl, Size: c.Size, Span: c.Span})
	return measure.WriteResult(std.Out, r)
}

// serveCmd runs one server for a parent process, which sends requests through a
// pipe.
type serveCmd struct {
	Name string `arg:""`
}

func (c *serveCmd) run(_ context.Context, std cli.Stdio) error {
	return measure.Serve(c.Name, std.In, std.Out)
}
