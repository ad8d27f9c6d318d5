package charts

import (
	"cmp"
	"fmt"
	"slices"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

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

// bar is the figure of one implementation.
type bar struct {
	impl string
	f    report.Figure
}

// bars draws a metric of each implementation at one size, the smallest on top.
// title has a verb for the size.
func bars(rs report.Results, workload, metric, title, unit string) (*picture, error) {
	size, of := measured(rs, workload, metric)
	if len(of) == 0 {
		return nil, errNothing
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
		labels.Labels[i] = fmt.Sprintf(" %.4g", b.f.Median)
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
	p.X.Min, p.X.Max = 0, of[0].f.Median*1.12
	return p, nil
}

// measured returns the largest size at which more than four implementations were
// measured, or else the smallest size, and the figures there, the largest first.
func measured(rs report.Results, workload, metric string) (int, []bar) {
	sizes := rs.Sizes(workload)
	var of []bar
	size := 0
	for i := range sizes {
		size = sizes[len(sizes)-1-i]
		of = of[:0]
		for _, impl := range rs.Impls(workload) {
			if f, ok := rs.Of(workload, impl, size, metric); ok {
				of = append(of, bar{impl, f})
			}
		}
		if len(of) > 4 || len(of) > 0 && i == len(sizes)-1 {
			break
		}
	}
	slices.SortFunc(of, func(a, b bar) int { return cmp.Compare(b.f.Median, a.f.Median) })
	return size, of
}
