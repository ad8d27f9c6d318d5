package report

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

// Header is one line that says where the figures are from.
func Header(rs Results) string {
	var sizes []int
	for _, r := range rs {
		if !slices.Contains(sizes, r.Size) {
			sizes = append(sizes, r.Size)
		}
	}
	slices.Sort(sizes)
	var text []string
	for _, s := range sizes {
		text = append(text, count(s))
	}
	return fmt.Sprintf("%s %s/%s, %d cores, sizes %s",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), strings.Join(text, " "))
}

// count writes a number with its thousands short.
func count(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 1_000 && n%1_000 == 0:
		return fmt.Sprintf("%dk", n/1_000)
	default:
		return fmt.Sprint(n)
	}
}

// Table writes a table for each work and size: for each implementation the
// median of each figure, the spread of the first, and how this project's first
// figure compares.
func Table(w io.Writer, rs Results) error {
	if _, err := fmt.Fprintln(w, Header(rs)); err != nil {
		return err
	}
	for _, work := range works.All() {
		for _, size := range rs.Sizes(work.Name) {
			if err := tableOf(w, rs, work, size); err != nil {
				return err
			}
		}
	}
	return nil
}

func tableOf(w io.Writer, rs Results, work works.Work, size int) error {
	fmt.Fprintf(w, "\n%s, %s %s: %s\n", work.Name, count(size), work.SizeOf, work.About)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := []string{"  implementation"}
	for i, m := range work.Metrics {
		head = append(head, m.Name)
		if i == 0 {
			head = append(head, "min..max", "ours / its")
		}
	}
	fmt.Fprintln(t, strings.Join(head, "\t"))
	var notes notes
	for _, impl := range rs.Impls(work.Name) {
		row, ok := rowOf(rs, work, size, impl)
		if !ok {
			if why := rs.why(work.Name, impl, size); why != "" {
				notes.add(impl, why)
			}
			continue
		}
		fmt.Fprintln(t, row)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return notes.write(w)
}

// notes says of implementations without figures why they have none; those that
// share a reason share a line.
type notes struct {
	whys  []string
	impls map[string][]string
}

func (n *notes) add(impl, why string) {
	if n.impls == nil {
		n.impls = make(map[string][]string)
	}
	if n.impls[why] == nil {
		n.whys = append(n.whys, why)
	}
	n.impls[why] = append(n.impls[why], impl)
}

func (n *notes) write(w io.Writer) error {
	for _, why := range n.whys {
		if _, err := fmt.Fprintf(w, "  %s (%s)\n", why, strings.Join(n.impls[why], ", ")); err != nil {
			return err
		}
	}
	return nil
}

func rowOf(rs Results, work works.Work, size int, impl string) (string, bool) {
	cells := []string{"  " + impl}
	if n := rs.failures(work.Name, impl, size); n > 0 {
		cells[0] += fmt.Sprintf(" (%d failed)", n)
	}
	for i, m := range work.Metrics {
		f, ok := rs.Of(work.Name, impl, size, m.Name)
		if !ok && i == 0 {
			return "", false
		}
		cells = append(cells, fmt.Sprintf("%.*f", m.Digits, f.Median))
		if i > 0 {
			continue
		}
		cells = append(cells, fmt.Sprintf("%.*f..%.*f", m.Digits, f.Min, m.Digits, f.Max))
		cells = append(cells, ratioOf(rs, work, size, impl, m))
	}
	return strings.Join(cells, "\t"), true
}

// ratioOf is this project's figure over the implementation's, with the spread.
func ratioOf(rs Results, work works.Work, size int, impl string, m works.Metric) string {
	if impl == works.Ours {
		return "1"
	}
	f, ok := rs.Ratio(work.Name, size, works.Ours, m.Name, impl, m.Name)
	switch {
	case !ok, f.Min <= 0: // a ratio to what is early says nothing
		return "-"
	case f.N == 1:
		return ratio(f.Median)
	default:
		return fmt.Sprintf("%s (%s..%s)", ratio(f.Median), ratio(f.Min), ratio(f.Max))
	}
}

// ratio writes two digits that matter.
func ratio(v float64) string {
	if v < 0.01 && v > -0.01 {
		return fmt.Sprintf("%.2g", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// GoalTable writes what came of each goal: reached or not by every round, or
// unclear when the rounds disagree.
func GoalTable(w io.Writer, verdicts []Verdict) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\ngoals\tmeasured\tmin..max\tat")
	for _, v := range verdicts {
		if !v.Measured {
			fmt.Fprintf(t, "  not measured  %s\t-\t-\t-\n", v.Text)
			continue
		}
		mark := "NOT REACHED "
		switch {
		case v.Unclear:
			mark = "unclear     "
		case v.Reached:
			mark = "reached     "
		}
		at := count(v.Size)
		if v.Elsewhere {
			at += ", and the goal is for " + count(v.Goal.Size)
		}
		fmt.Fprintf(t, "  %s  %s\t%s\t%s..%s\t%s\n", mark, v.Text,
			ratio(v.Figure.Median), ratio(v.Figure.Min), ratio(v.Figure.Max), at)
	}
	return t.Flush()
}
