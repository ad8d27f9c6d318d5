// Command bench runs the same workloads with this project and with what one
// would use in its place, side by side on this machine. It prints tables, and
// writes JSON, CSV and charts.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sessionwheel/sessionwheel/lab/bench/cli"
	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
	"github.com/sessionwheel/sessionwheel/lab/bench/run"
)

func main() {
	os.Exit(execute(programName(os.Args[0]), os.Args[1:], cli.OS()))
}

// programName returns what the user typed to start the program. The program
// sessionwheel starts it as sessionwheel-bench.
func programName(arg0 string) string {
	if strings.TrimSuffix(filepath.Base(arg0), ".exe") == "sessionwheel-bench" {
		return "sessionwheel bench"
	}
	return "bench"
}

// execute runs the program and returns its exit status.
func execute(program string, args []string, std cli.Stdio) int {
	return cli.Execute(program, std, func(ctx context.Context, std cli.Stdio) error {
		return runCommand(ctx, program, args, std)
	})
}

// command is a command with its flags.
type command interface {
	run(ctx context.Context, std cli.Stdio) error
}

// runCommand parses the command line and runs the command that it names, or the
// comparison if it names none.
func runCommand(ctx context.Context, program string, args []string, std cli.Stdio) error {
	var c command = &compareCmd{program: program}
	name := program
	about := "Run the same workloads with sessionwheel and with other timers, caches and servers, side by side. Print tables, and write JSON, CSV and charts."
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name = program + " " + args[0]
		switch args[0] {
		case "list":
			c, about = &listCmd{}, "List the workloads and the implementations, and how each implementation is used."
		case "charts":
			c, about = &chartsCmd{name: name}, "Draw the charts of an earlier run again."
		case run.CaseCommand:
			c, about = &caseCmd{}, "Make one measurement, for the parent process."
		case measure.ServeCommand:
			c, about = &serveCmd{}, "Run one server, for the parent process."
		default:
			return &cli.UsageError{Command: program, Err: fmt.Errorf("unknown command %q: use list or charts, or only flags to compare", args[0])}
		}
		args = args[1:]
	}
	if help, err := cli.Parse(c, name, about, args, std); help || err != nil {
		return err
	}
	return c.run(ctx, std)
}
