package charts

import (
	"math"
	"slices"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sessionwheel/sessionwheel/lab/bench/report"
	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

func touchChart(rs report.Results) (*picture, error) {
	p := newPicture("Re-arming the idle timeout of a random session, by how many there are",
		"sessions", "nanoseconds per touch, all processors at it")
	return bySize(p, rs, "touch", "ns/op")
}

func steadyChart(rs report.Results) (*picture, error) {
	p := newPicture("What keeping sessions costs, each active twice in its idle timeout",
		"sessions", "processor milliseconds per second")
	return bySize(p, rs, "steady", "CPU ms/s")
}

// bySize draws a figure against the size, both logarithmic.
func bySize(p *picture, rs report.Results, work, metric string) (*picture, error) {
	drawn := false
	for _, impl := range rs.Impls(work) {
		var at plotter.XYs
		for _, size := range rs.Sizes(work) {
			if f, ok := rs.Of(work, impl, size, metric); ok && size > 0 && f.Median > 0 {
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
		p.name(impl, line, points)
		drawn = true
	}
	if !drawn {
		return nil, errNothing
	}
	p.X.Tick.Marker = decades{}
	if p.X.Min == p.X.Max {
		p.X.Min, p.X.Max = p.X.Min-1, p.X.Max+1
	}
	wholeDecades(&p.Y)
	p.grid()
	return p, nil
}

// latenessChart shows which share of the sessions had timed out by when.
func latenessChart(rs report.Results) (*picture, error) {
	p := newPicture("How late sessions time out", "milliseconds after the deadline (left of 0: too early)",
		"share of the sessions")
	drawn := false
	for _, impl := range rs.Impls("lateness") {
		points := seriesOf(rs, "lateness", impl, "ms late")
		if len(points) == 0 {
			continue
		}
		at := make(plotter.XYs, len(points))
		for i, ms := range points {
			at[i] = plotter.XY{X: signed(ms), Y: float64(i) / float64(len(points)-1)}
		}
		line, err := plotter.NewLine(at)
		if err != nil {
			return nil, err
		}
		line.LineStyle = lineOf(impl)
		p.Add(line)
		p.name(impl, line)
		drawn = true
	}
	if !drawn {
		return nil, errNothing
	}
	p.X.Min, p.X.Max = min(p.X.Min, signed(-1)), max(p.X.Max, signed(100))
	p.X.Tick.Marker = signedTicks{}
	p.grid()
	return p, nil
}

// stallChart shows the longest Register of each moment.
func stallChart(rs report.Results) (*picture, error) {
	size, ok := rs.Largest("stall", works.Ours)
	if !ok {
		return nil, errNothing
	}
	p := newPicture("The longest Register of each 10 ms, beside "+short(float64(size))+" idle sessions",
		"seconds", "microseconds")
	impls := rs.Impls("stall")
	for _, impl := range slices.Backward(impls) { // this project's on top
		if impl != works.Ours && impl != "sweep" && impl != "plain" && impl != "time.Timer" {
			continue
		}
		longest := seriesOf(rs, "stall", impl, "longest µs")
		var at plotter.XYs
		for i, us := range longest {
			if us > 0 {
				at = append(at, plotter.XY{X: float64(i) * works.StallBucket.Seconds(), Y: math.Log10(us)})
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
		p.name(impl, line)
	}
	wholeDecades(&p.Y)
	p.grid()
	return p, nil
}

// seriesOf is a series of the first measurement that has it.
func seriesOf(rs report.Results, work, impl, name string) []float64 {
	for _, r := range rs {
		if s := r.Series[name]; r.Work == work && r.Impl == impl && len(s) > 0 {
			return s
		}
	}
	return nil
}
