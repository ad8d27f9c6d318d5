package report

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
)

// Header returns one line with the Go version, the cores and the sizes.
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

// count formats a number, as 10k or 1M if it is round.
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

// Table writes a table for each workload and size. A row has the median of each
// metric of an implementation, the spread of the first metric, and this
// project's first metric over the implementation's. Cases that were left out have
// no row.
func Table(w io.Writer, rs Results) error {
	if _, err := fmt.Fprintln(w, Header(rs)); err != nil {
		return err
	}
	for _, workload := range measure.Workloads() {
		for _, size := range rs.Sizes(workload.Name) {
			if err := writeTable(w, rs, workload, size); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeTable(w io.Writer, rs Results, workload measure.Workload, size int) error {
	fmt.Fprintf(w, "\n%s, %s\n  %s\n", workload.Name, sizeOf(workload, size), workload.About)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := []string{"  implementation"}
	for i, m := range workload.Metrics {
		head = append(head, m.Name)
		if i == 0 {
			head = append(head, "min..max", "ours/theirs")
		}
	}
	fmt.Fprintln(t, strings.Join(head, "\t"))
	var failed groups
	for _, impl := range rs.Impls(workload.Name) {
		if row, ok := tableRow(rs, workload, size, impl); ok {
			fmt.Fprintln(t, row)
		} else if text := rs.failure(workload.Name, impl, size); text != "" {
			failed.add("failed: "+text, impl)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return failed.write(w)
}

// sizeOf formats a size with its unit, as "1 session" or "10k connections".
func sizeOf(workload measure.Workload, size int) string {
	unit := workload.SizeUnit
	if size == 1 {
		unit = strings.NewReplacer("sessions", "session", "connections", "connection").Replace(unit)
	}
	return count(size) + " " + unit
}

func tableRow(rs Results, workload measure.Workload, size int, impl string) (string, bool) {
	cells := []string{"  " + impl}
	if n := rs.failures(workload.Name, impl, size); n > 0 {
		cells[0] += fmt.Sprintf(" (%d failed)", n)
	}
	for i, m := range workload.Metrics {
		f, ok := rs.Of(workload.Name, impl, size, m.Name)
		if !ok && i == 0 {
			return "", false
		}
		cells = append(cells, fmt.Sprintf("%.*f", m.Digits, f.Median))
		if i > 0 {
			continue
		}
		cells = append(cells, fmt.Sprintf("%.*f..%.*f", m.Digits, f.Min, m.Digits, f.Max))
		cells = append(cells, ratioCell(rs, workload, size, impl, m))
	}
	return strings.Join(cells, "\t"), true
}

// ratioCell formats this project's metric over the implementation's.
func ratioCell(rs Results, workload measure.Workload, size int, impl string, m measure.Metric) string {
	if impl == measure.Ours {
		return "1"
	}
	f, ok := rs.Ratio(workload.Name, size, measure.Ours, m.Name, impl, m.Name)
	switch {
	case !ok, f.Min <= 0: // a ratio to a lateness below zero means nothing
		return "-"
	case f.N == 1:
		return ratio(f.Median)
	default:
		return fmt.Sprintf("%s (%s..%s)", ratio(f.Median), ratio(f.Min), ratio(f.Max))
	}
}

// ratio formats a ratio with two significant digits or two decimals.
func ratio(v float64) string {
	if v < 0.01 && v > -0.01 {
		return fmt.Sprintf("%.2g", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// groups collects names under a common text, in the order in which they came.
type groups struct {
	texts []string
	names map[string][]string
}

func (g *groups) add(text, name string) {
	if g.names == nil {
		g.names = make(map[string][]string)
	}
	if g.names[text] == nil {
		g.texts = append(g.texts, text)
	}
	g.names[text] = append(g.names[text], name)
}

// write writes a line for each text.
func (g *groups) write(w io.Writer) error {
	for _, text := range g.texts {
		if _, err := fmt.Fprintf(w, "  %s (%s)\n", text, strings.Join(g.names[text], ", ")); err != nil {
			return err
		}
	}
	return nil
}
