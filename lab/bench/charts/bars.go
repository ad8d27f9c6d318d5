package charts

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
	"github.com/sessionwheel/sessionwheel/lab/bench/report"
)

func memoryChart(rs report.Results) (*picture, error) {
	return bars(rs, "memory", "bytes/session", "Memory of an idle session, table and timer included, with %s sessions", "bytes per session")
}

func serverCPUChart(rs report.Results) (*picture, error) {
	return bars(rs, "echo", "server CPU µs/frame", "Processor time of the server to echo a frame, beside %s idle connections", "processor microseconds per frame")
}

func serverMemoryChart(rs report.Results) (*picture, error) {
	return bars(rs, "idle-connections", "bytes/connection", "Heap and stacks of an idle connection, with %s connections", "bytes per connection")
}

func serverMemoryTLSChart(rs report.Results) (*picture, error) {
	return bars(rs, "idle-tls", "bytes/connection", "Heap and stacks of an idle TLS connection, with %s connections", "bytes per connection")
}

func serverFramesChart(rs report.Results) (*picture, error) {
	return bars(rs, "echo", "frames/s", "Frames that 50 busy connections echo, beside %s idle connections", "frames per second")
}

// bar is the figure of one implementation.
type bar struct {
	impl string
	f    report.Figure
}

// barMargin is how far the first and the last bar are from the ends of the axis, in bars.
const barMargin = 0.4

// bars draws a metric of each implementation at one size, the best on top.
// title has a verb for the size.
func bars(rs report.Results, workload, metric, title, unit string) (*picture, error) {
	size, of := measured(rs, workload, metric)
	if len(of) == 0 {
		return nil, errNothing
	}
	most := of[0].f.Median
	if higherIsBetter(workload, metric) {
		slices.Reverse(of)
	}
	p := newPicture(fmt.Sprintf(title, shortNumber(float64(size))), unit, "")
	names := make([]string, len(of))
	labels := plotter.XYLabels{XYs: make(plotter.XYs, len(of)), Labels: make([]string, len(of))}
	for i, b := range of {
		c, err := plotter.NewBarChart(plotter.Values{b.f.Median}, vg.Points(18))
		if err != nil {
			return nil, err
		}
		c.Horizontal, c.XMin, c.LineStyle.Width, c.Color = true, float64(i), 0, colorOf(b.impl)
		p.Add(c)
		names[i] = b.impl
		labels.XYs[i] = plotter.XY{X: b.f.Median, Y: float64(i)}
		labels.Labels[i] = " " + barLabel(b.f.Median)
	}
	text, err := plotter.NewLabels(labels)
	if err != nil {
		return nil, err
	}
	for i := range text.TextStyle {
		text.TextStyle[i].YAlign = -0.4
	}
	p.Add(text)
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = p.Y.Min-barMargin, p.Y.Max+barMargin
	p.X.Min, p.X.Max = 0, most*1.12
	return p, nil
}

// barLabel formats a figure with four digits, or all digits before the decimal point.
func barLabel(v float64) string {
	if v >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

func higherIsBetter(workload, metric string) bool {
	w, err := measure.WorkloadByName(workload)
	if err != nil {
		return false
	}
	m, _ := w.Metric(metric)
	return m.Higher
}

// measured returns the size at which most implementations were measured, the largest of
// several, and the figures there, the largest first.
func measured(rs report.Results, workload, metric string) (size int, of []bar) {
	for _, n := range rs.Sizes(workload) {
		var here []bar
		for _, impl := range rs.Impls(workload) {
			if f, ok := rs.Of(workload, impl, n, metric); ok {
				here = append(here, bar{impl, f})
			}
		}
		if len(here) >= len(of) {
			size, of = n, here
		}
	}
	slices.SortFunc(of, func(a, b bar) int { return cmp.Compare(b.f.Median, a.f.Median) })
	return size, of
}
