package report

import (
	"fmt"
	"math"

	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

// Goal is a bound on a figure of this project, or on its ratio to a rival's.
type Goal struct {
	Work   string
	Size   int // 0 means the largest that was measured; -1 all of them
	Metric string

	// Over names the rival, and OverMetric its figure if it is another one. ""
	// means that the bound is on the figure itself.
	Over, OverMetric string

	Bound   float64
	AtLeast bool // the figure must reach the bound, as against not exceed it
}

const (
	million = 1_000_000

	// maxGoroutines is wheel.Config's MaxCallbacks, and some.
	maxGoroutines = 256 + 64
)

// Goals are what the project means to reach.
func Goals() []Goal {
	goals := []Goal{
		{Work: "touch", Size: million, Metric: "ns/op", Over: "clock+store", Bound: 1.15},
		{Work: "touch", Size: million, Metric: "ns/op", Over: "plain", Bound: 0.13},
		{Work: "touch", Size: million, Metric: "ns/op", Over: "time.Timer", Bound: 0.65},
		{Work: "touch", Size: million, Metric: "allocs/op", Bound: 0},
		{Work: "touch-hot", Metric: "ns/op", Over: "clock+CAS", Bound: 1.3},
		{Work: "touch", Size: -1, Metric: "ns/op", Over: "clock+store", Bound: 1.3},
		{Work: "arm-stop", Size: million, Metric: "ns/op", Over: "plain", Bound: 0.4},
		{Work: "arm-stop", Size: million, Metric: "ns/op", Over: "time.Timer", Bound: 0.6},
		{Work: "arm-stop", Size: million, Metric: "allocs/op", Bound: 0},
		{Work: "register-close", Size: million, Metric: "ns/op", Over: "plain", Bound: 1},
		{Work: "register-close", Size: million, Metric: "allocs/op", Bound: 2},
		{Work: "memory", Size: million, Metric: "bytes/session", Bound: 220},
	}
	for _, rival := range []string{"plain", "time.Timer", "antlabs/timer", "ouqiang/timewheel", "go-timewheel", "go-zero"} {
		goals = append(goals, Goal{Work: "memory", Size: million, Metric: "bytes/session", Over: rival, Bound: 1})
	}
	return append(goals,
		Goal{Work: "expire", Size: million, Metric: "last ms late", Over: "plain", Bound: 0.5},
		Goal{Work: "expire", Size: million, Metric: "peak goroutines", Bound: maxGoroutines},
		Goal{Work: "expire", Size: million, Metric: "peak/resting memory", Bound: 1.1},
		Goal{Work: "steady", Size: million, Metric: "CPU ms/s", Over: "sweep", Bound: 0.35},
		Goal{Work: "stall", Size: million, Metric: "p99.9 µs", Over: "sweep", OverMetric: "longest µs", Bound: 0.01},
		Goal{Work: "echo", Size: -1, Metric: "frames/s", Over: "net+deadline", Bound: 1, AtLeast: true},
		Goal{Work: "echo", Size: -1, Metric: "server CPU µs/frame", Over: "net+deadline", Bound: 1},
		Goal{Work: "echo", Size: -1, Metric: "frames/s", Over: "zinx", Bound: 1, AtLeast: true},
		Goal{Work: "echo", Size: -1, Metric: "frames/s", Over: "getty", Bound: 1, AtLeast: true},
		Goal{Work: "idle-connections", Metric: "bytes/connection", Over: "net", Bound: 0.5},
	)
}

// Verdict is what came of a goal.
type Verdict struct {
	Goal     Goal   `json:"-"`
	Text     string `json:"goal"`
	Measured bool   `json:"measured"`
	Reached  bool   `json:"reached"` // by the median
	Figure   Figure `json:"figure"`  // of the size that does worst
	Size     int    `json:"size"`

	// Unclear says that some rounds reached the goal and some did not, so that
	// the median decides little.
	Unclear bool `json:"unclear"`

	// Elsewhere says that the goal is for another size, which was not measured.
	Elsewhere bool `json:"elsewhere"`
}

// String names the goal.
func (g Goal) String() string {
	cmp := "at most"
	if g.AtLeast {
		cmp = "at least"
	}
	text := fmt.Sprintf("%s: %s %s %v", g.Work, g.Metric, cmp, g.Bound)
	if g.Over != "" {
		text += " of " + g.Over
		if g.OverMetric != "" {
			text += "'s " + g.OverMetric
		}
	}
	if g.Size < 0 {
		text += ", at each size"
	}
	return text
}

// Judge compares the results with the goals. The size of a goal that was not
// measured gives way to the largest that was.
func Judge(rs Results, goals []Goal) []Verdict {
	verdicts := make([]Verdict, 0, len(goals))
	for _, g := range goals {
		verdicts = append(verdicts, g.judge(rs))
	}
	return verdicts
}

func (g Goal) judge(rs Results) Verdict {
	v := Verdict{Goal: g, Text: g.String()}
	worst := math.Inf(-1)
	for _, size := range g.sizes(rs) {
		f, ok := g.figure(rs, size)
		if !ok {
			continue
		}
		excess := f.Median - g.Bound
		if g.AtLeast {
			excess = -excess
		}
		if excess > worst {
			worst = excess
			v.Measured, v.Figure, v.Size = true, f, size
		}
	}
	v.Elsewhere = v.Measured && g.Size > 0 && v.Size != g.Size
	v.Reached = v.Measured && worst <= slack(g)
	bound := g.Bound + slack(g)
	v.Unclear = v.Measured && v.Figure.Min <= bound && v.Figure.Max > bound
	return v
}

// slack forgives the few allocations of the measurement itself.
func slack(g Goal) float64 {
	if g.Metric == "allocs/op" {
		return 0.005
	}
	return 0
}

func (g Goal) sizes(rs Results) []int {
	impls := []string{works.Ours}
	if g.Over != "" {
		impls = append(impls, g.Over)
	}
	if g.Size < 0 {
		return rs.Sizes(g.Work)
	}
	if _, ok := g.figure(rs, g.Size); g.Size > 0 && ok {
		return []int{g.Size}
	}
	if size, ok := rs.Largest(g.Work, impls...); ok {
		return []int{size}
	}
	return nil
}

func (g Goal) figure(rs Results, size int) (Figure, bool) {
	if g.Over == "" {
		return rs.Of(g.Work, works.Ours, size, g.Metric)
	}
	over := g.OverMetric
	if over == "" {
		over = g.Metric
	}
	return rs.Ratio(g.Work, size, works.Ours, g.Metric, g.Over, over)
}
