package flags

import (
	"fmt"
	"regexp"
)

// Bench is the command line of bench. The program has its own, which must be the
// same.
type Bench struct {
	Compare BenchCompare `cmd:"" default:"" hidden:"" help:"Compare."`
	List    BenchList    `cmd:"" help:"List the workloads and the implementations, and how each implementation is used."`
	Charts  BenchCharts  `cmd:"" help:"Draw the charts of an earlier run again."`
}

// Help is the text below the summary of bench --help.
func (Bench) Help() string {
	return "Use an idle machine with 8 GB of memory, and \"ulimit -n 20000\" for the connections. " +
		"Ctrl-C ends the run, and shows and writes the results so far."
}

// BenchCompare is the flags of bench.
type BenchCompare struct {
	Quick   bool   `help:"Use fewer rounds and smaller sizes: four minutes in place of up to thirty."`
	Only    string `placeholder:"REGEXP" help:"Run only the workloads whose names match, as in \"touch|memory\"."`
	Impl    string `placeholder:"REGEXP" help:"Measure only the implementations whose names match, and sessionwheel."`
	Rounds  int    `placeholder:"N" help:"Run each workload N times."`
	Size    []int  `placeholder:"N" help:"Use N sessions or connections in place of the workloads' own sizes."`
	Out     string `default:"bench-results" type:"path" placeholder:"DIR" help:"Write results.json, results.csv and the charts to DIR (default: bench-results)."`
	Verbose bool   `help:"List the cases that were left out and the goals that were not measured."`
}

// Validate checks the flags, but for the names of workloads and implementations and
// sizes, which are left to the program.
func (c *BenchCompare) Validate() error {
	if c.Rounds < 0 {
		return fmt.Errorf("--rounds is %d: use at least 1, or 0 for each workload's own number", c.Rounds)
	}
	for flag, value := range map[string]string{"--only": c.Only, "--impl": c.Impl} {
		if _, err := regexp.Compile(value); err != nil {
			return fmt.Errorf("%s is not a regular expression: %w", flag, err)
		}
	}
	return nil
}

// BenchList is the flags of bench list.
type BenchList struct{}

// BenchCharts is the flags of bench charts.
type BenchCharts struct {
	Results string `arg:"" name:"results.json" type:"existingfile" help:"The file that the run has written."`
	Out     string `type:"path" placeholder:"DIR" help:"Write the charts to DIR (default: beside results.json)."`
}
