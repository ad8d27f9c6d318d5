package report

import (
	"fmt"
	"math"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
)

// Goal is a bound on a metric of this project, or on its ratio to a metric of
// another implementation.
type Goal struct {
	Workload string
	Size     int // 0 means the largest measured size, -1 each measured size
	Metric   string

	// Over names the other implementation. If it is "", the bound is on the
	// metric itself. OverMetric names the other metric; "" means Metric.
	Over, OverMetric string

	Bound   float64
	AtLeast bool // the bound is a minimum, not a maximum
}

const (
	million = 1_000_000

	// maxGoroutines is the default of wheel.Config.MaxCallbacks, and some for the
	// rest of the process.
	maxGoroutines = 256 + 64
)

// Goals lists the project's goals.
func Goals() []Goal {
	goals := []Goal{
		{Workload: "touch", Size: million, Metric: "ns/op", Over: "clock+store", Bound: 1.15},
		{Workload: "touch", Size: million, Metric: "ns/op", Over: "plain", Bound: 0.13},
		{Workload: "touch", Size: million, Metric: "ns/op", Over: "time.Timer", Bound: 0.65},
		{Workload: "touch", Size: million, Metric: "allocs/op", Bound: 0},
		{Workload: "touch-hot", Metric: "ns/op", Over: "clock+CAS", Bound: 1.3},
		{Workload: "touch", Size: -1, Metric: "ns/op", Over: "clock+store", Bound: 1.3},
		{Workload: "arm-stop", Size: million, Metric: "ns/op", Over: "plain", Bound: 0.4},
		{Workload: "arm-stop", Size: million, Metric: "ns/op", Over: "time.Timer", Bound: 0.6},
		{Workload: "arm-stop", Size: million, Metric: "allocs/op", Bound: 0},
		{Workload: "register-close", Size: million, Metric: "ns/op", Over: "plain", Bound: 0.8},
		{Workload: "register-close", Size: million, Metric: "allocs/op", Bound: 2},
		{Workload: "memory", Size: million, Metric: "bytes/session", Bound: 128},
	}
	for _, other := range []string{"plain", "time.Timer", "antlabs/timer", "ouqiang/timewheel", "go-timewheel", "go-zero"} {
		goals = append(goals, Goal{Workload: "memory", Size: million, Metric: "bytes/session", Over: other, Bound: 1})
	}
	return append(goals,
		Goal{Workload: "expire", Size: million, Metric: "last ms late", Over: "plain", Bound: 0.4},
		Goal{Workload: "expire", Size: million, Metric: "peak goroutines", Bound: maxGoroutines},
		Goal{Workload: "expire", Size: million, Metric: "peak/resting memory", Bound: 1.1},
		Goal{Workload: "steady", Size: million, Metric: "CPU ms/s", Over: "sweep", Bound: 0.35},
		Goal{Workload: "stall", Size: million, Metric: "p99.9 µs", Over: "sweep", OverMetric: "longest µs", Bound: 0.01},
		Goal{Workload: "echo", Size: -1, Metric: "frames/s", Over: "net+deadline", Bound: 1, AtLeast: true},
		Goal{Workload: "echo", Size: -1, Metric: "server CPU µs/frame", Over: "net+deadline", Bound: 1},
		Goal{Workload: "echo", Size: -1, Metric: "frames/s", Over: "zinx", Bound: 1, AtLeast: true},
		Goal{Workload: "echo", Size: -1, Metric: "frames/s", Over: "getty", Bound: 1, AtLeast: true},
		Goal{Workload: "echo-one", Metric: "p50 µs", Over: "net+deadline", Bound: 1.02},
		Goal{Workload: "wake", Metric: "p99 µs later", Bound: 100},
		Goal{Workload: "idle-connections", Metric: "bytes/connection", Bound: 900},
		Goal{Workload: "idle-connections", Metric: "bytes/connection", Over: "net+deadline", Bound: 0.1},
		Goal{Workload: "idle-connections", Metric: "RSS bytes/connection", Over: "net+deadline", Bound: 0.25},
		Goal{Workload: "idle-tls", Metric: "bytes/connection", Bound: 6000},
		Goal{Workload: "fan-out", Metric: "arrived %", Bound: 100, AtLeast: true},
		Goal{Workload: "fan-out", Metric: "slow closed %", Bound: 100, AtLeast: true},
		Goal{Workload: "fan-out", Metric: "p99 with/without slow", Bound: 1.2},
	)
}

// GoalResult compares a run with a goal.
type GoalResult struct {
	Goal     Goal   `json:"-"`
	Text     string `json:"goal"`
	Measured bool   `json:"measured"`
	Reached  bool   `json:"reached"` // by the median
	Figure   Figure `json:"figure"`  // at the size that does worst
	Size     int    `json:"size"`

	// Unclear reports whether some rounds reached the goal and others did not.
	Unclear bool `json:"unclear"`

	// OtherSize reports whether Size was measured in place of the goal's size.
	OtherSize bool `json:"otherSize"`
}

// String describes the goal.
func (g Goal) String() string {
	cmp := "at most"
	if g.AtLeast {
		cmp = "at least"
	}
	text := fmt.Sprintf("%s: %s %s %v", g.Workload, g.Metric, cmp, g.Bound)
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

// Evaluate compares the results with the goals. If the size of a goal was not
// measured, the largest measured size takes its place.
func Evaluate(rs Results, goals []Goal) []GoalResult {
	results := make([]GoalResult, 0, len(goals))
	for _, g := range goals {
		results = append(results, g.evaluate(rs))
	}
	return results
}

func (g Goal) evaluate(rs Results) GoalResult {
	v := GoalResult{Goal: g, Text: g.String()}
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
	v.OtherSize = v.Measured && g.Size > 0 && v.Size != g.Size
	v.Reached = v.Measured && worst <= tolerance(g)
	bound := g.Bound + tolerance(g)
	v.Unclear = v.Measured && v.Figure.Min <= bound && v.Figure.Max > bound
	return v
}

// tolerance returns the excess over a bound that still reaches the goal: the
// measurement itself allocates a little.
func tolerance(g Goal) float64 {
	if g.Metric == "allocs/op" {
		return 0.005
	}
	return 0
}

func (g Goal) sizes(rs Results) []int {
	impls := []string{measure.Ours}
	if g.Over != "" {
		impls = append(impls, g.Over)
	}
	if g.Size < 0 {
		return rs.Sizes(g.Workload)
	}
	if _, ok := g.figure(rs, g.Size); g.Size > 0 && ok {
		return []int{g.Size}
	}
	if size, ok := rs.Largest(g.Workload, impls...); ok {
		return []int{size}
	}
	return nil
}

func (g Goal) figure(rs Results, size int) (Figure, bool) {
	if g.Over == "" {
		return rs.Of(g.Workload, measure.Ours, size, g.Metric)
	}
	over := g.OverMetric
	if over == "" {
		over = g.Metric
	}
	return rs.Ratio(g.Workload, size, measure.Ours, g.Metric, g.Over, over)
}
