package charts

import (
	"math"
	"slices"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
	"github.com/sessionwheel/sessionwheel/lab/bench/report"
)

func touchChart(rs report.Results) (*picture, error) {
	p := newPicture("Re-arming the idle timeout of a random session, by the number of sessions",
		"sessions", "nanoseconds per touch, on all processors")
	return bySize(p, rs, "touch", "ns/op")
}

func steadyChart(rs report.Results) (*picture, error) {
	p := newPicture("Processor time of sessions that are active twice in their idle timeout",
		"sessions", "processor milliseconds per second")
	return bySize(p, rs, "steady", "CPU ms/s")
}

// bySize draws a metric by the size, both on logarithmic scales.
func bySize(p *picture, rs report.Results, workload, metric string) (*picture, error) {
	drawn := false
	for _, impl := range rs.Impls(workload) {
		var at plotter.XYs
		for _, size := range rs.Sizes(workload) {
			if f, ok := rs.Of(workload, impl, size, metric); ok && size > 0 && f.Median > 0 {
				at = append(at, plotter.XY{X: math.Log10(float64(size)), Y: math.Log10(f.Median)})
			}
		}
		if len(at) == 0 {
			continue
		}
		line, points, err := plotter.NewLinePoints(at)
		if err != nil {
			return nil, err
		}
		line.LineStyle = lineOf(impl)
		points.Shape, points.Color, points.Radius = draw.CircleGlyph{}, colorOf(impl), vg.Points(2.5)
		p.Add(line, points)
		p.addToLegend(impl, line, points)
		drawn = true
	}
	if !drawn {
		return nil, errNothing
	}
	p.X.Tick.Marker = decadeTicks{}
	if p.X.Min == p.X.Max {
		p.X.Min, p.X.Max = p.X.Min-1, p.X.Max+1
	}
	toDecades(&p.Y)
	p.addGrid()
	return p, nil
}

// latenessChart shows the distribution of lateness.
func latenessChart(rs report.Results) (*picture, error) {
	p := newPicture("How late sessions time out", "milliseconds after the deadline (left of 0: too early)",
		"share of the sessions")
	drawn := false
	for _, impl := range rs.Impls("lateness") {
		points := firstSeries(rs, "lateness", impl, "ms late")
		if len(points) == 0 {
			continue
		}
		at := make(plotter.XYs, len(points))
		for i, ms := range points {
			at[i] = plotter.XY{X: symlog(ms), Y: float64(i) / float64(len(points)-1)}
		}
		line, err := plotter.NewLine(at)
		if err != nil {
			return nil, err
		}
		line.LineStyle = lineOf(impl)
		p.Add(line)
		p.addToLegend(impl, line)
		drawn = true
	}
	if !drawn {
		return nil, errNothing
	}
	p.X.Min, p.X.Max = min(p.X.Min, symlog(-1)), max(p.X.Max, symlog(100))
	p.X.Tick.Marker = symlogTicks{}
	p.addGrid()
	return p, nil
}

// stallChart shows the longest Register in each bucket of time.
func stallChart(rs report.Results) (*picture, error) {
	size, ok := rs.Largest("stall", measure.Ours)
	if !ok {
		return nil, errNothing
	}
	p := newPicture("The longest Register of each 10 ms, beside "+shortNumber(float64(size))+" idle sessions",
		"seconds", "microseconds")
	impls := rs.Impls("stall")
	for _, impl := range slices.Backward(impls) { // this project's line on top
		if impl != measure.Ours && impl != "sweep" && impl != "plain" && impl != "time.Timer" {
			continue
		}
		longest := firstSeries(rs, "stall", impl, "longest µs")
		var at plotter.XYs
		for i, us := range longest {
			if us > 0 {
				at = append(at, plotter.XY{X: float64(i) * measure.StallBucket.Seconds(), Y: math.Log10(us)})
			}
		}
		if len(at) == 0 {
			continue
		}
		line, err := plotter.NewLine(at)
		if err != nil {
			return nil, err
		}
		line.LineStyle = lineOf(impl)
		line.Width = vg.Points(1.2)
		p.Add(line)
		p.addToLegend(impl, line)
	}
	toDecades(&p.Y)
	p.addGrid()
	return p, nil
}

// firstSeries returns the series of the first measurement that has it.
func firstSeries(rs report.Results, workload, impl, name string) []float64 {
	for _, r := range rs {
		if s := r.Series[name]; r.Workload == workload && r.Impl == impl && len(s) > 0 {
			return s
		}
	}
	return nil
}
