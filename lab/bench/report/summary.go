package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
)

// seeVerbose ends the summary lines whose details verbose output has.
const seeVerbose = "; --verbose lists them"

// GoalTable writes a row for each goal that was measured: reached or missed, or
// unclear if the rounds disagree. It only counts the goals that were not
// measured, unless verbose is set.
func GoalTable(w io.Writer, results []GoalResult, verbose bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	missing := 0
	for _, v := range results {
		if !v.Measured {
			missing++
		}
	}
	if missing < len(results) || verbose {
		fmt.Fprintln(t, "\ngoals\tmeasured\tmin..max\tsize")
	}
	for _, v := range results {
		if row := goalRow(v); v.Measured || verbose {
			fmt.Fprintln(t, row)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if missing == 0 || verbose {
		return nil
	}
	_, err := fmt.Fprintf(w, "\ngoals not measured: %d of %d%s\n", missing, len(results), seeVerbose)
	return err
}

func goalRow(v GoalResult) string {
	mark := "missed"
	switch {
	case !v.Measured:
		return fmt.Sprintf("  %-12s  %s\t-\t-\t-", "not measured", v.Text)
	case v.Unclear:
		mark = "unclear"
	case v.Reached:
		mark = "reached"
	}
	size := count(v.Size)
	if v.OtherSize {
		size += " (the goal is for " + count(v.Goal.Size) + ")"
	}
	return fmt.Sprintf("  %-12s  %s\t%s\t%s..%s\t%s", mark, v.Text,
		ratio(v.Figure.Median), ratio(v.Figure.Min), ratio(v.Figure.Max), size)
}

// LeftOut writes how many cases were left out and why, and lists them if verbose
// is set. It writes nothing if there are none.
func LeftOut(w io.Writer, rs Results, verbose bool) error {
	var tooLong, unsupported int
	var cases groups
	for _, r := range rs {
		switch {
		case r.Skipped == "":
			continue
		case r.Skipped == measure.TooLong:
			tooLong++
		default:
			unsupported++
		}
		cases.add(fmt.Sprintf("%s, %s: %s", r.Workload, count(r.Size), r.Skipped), r.Impl)
	}
	var reasons []string
	if tooLong > 0 {
		reasons = append(reasons, fmt.Sprintf("%d to keep the run short", tooLong))
	}
	if unsupported > 0 {
		reasons = append(reasons, fmt.Sprintf("%d that the implementation does not support", unsupported))
	}
	n := tooLong + unsupported
	if n == 0 {
		return nil
	}
	subject, ending := fmt.Sprintf("%d cases were", n), seeVerbose
	if n == 1 {
		subject = "1 case was"
	}
	if verbose {
		ending = ""
	}
	if _, err := fmt.Fprintf(w, "\n%s left out: %s%s\n", subject, strings.Join(reasons, ", "), ending); err != nil {
		return err
	}
	if !verbose {
		return nil
	}
	return cases.write(w)
}
