// Package measure makes one measurement: a workload, which is one thing that a
// server does with its sessions, done by one implementation. Each measurement
// runs in a process of its own, so that it starts with an empty heap and leaves
// no goroutine to the next.
package measure

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/servers"
	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// Ours is the name of this project among the implementations.
const Ours = "sessionwheel"

// TooLong is the Result.Skipped of cases that would make a run too long. Other
// cases are skipped because the implementation does not support the workload.
const TooLong = "it would take too long at this size"

// Case is one measurement to make.
type Case struct {
	Workload string        `json:"workload"`
	Impl     string        `json:"impl"`
	Size     int           `json:"size"` // sessions or connections: see Workload.SizeUnit
	Span     time.Duration `json:"span"` // how long the workload runs; its meaning depends on the workload
}

// Result is the outcome of one measurement.
type Result struct {
	Case
	Round   int                  `json:"round"`
	Took    time.Duration        `json:"took"` // the whole process, its preparation included
	How     string               `json:"how"`
	Module  string               `json:"module,omitempty"`
	Metrics map[string]float64   `json:"metrics,omitempty"`
	Series  map[string][]float64 `json:"series,omitempty"` // for charts

	// If there are no metrics, one of these says why.
	Skipped string `json:"skipped,omitempty"` // why the case was left out
	Error   string `json:"error,omitempty"`   // how the measurement failed
}

// Metric is one figure of a workload. The first metric of a workload is the one
// that its table compares.
type Metric struct {
	Name   string
	Digits int  // after the decimal point, in tables
	Higher bool // more is better
}

// Scale is the amount of work in a run.
type Scale struct {
	Sizes  []int
	Rounds int
	Span   time.Duration
	Limit  time.Duration // of one measurement; 0 means one minute

	// Only lists the implementations to measure at a size. A size that is not a
	// key measures all of them.
	Only map[int][]string
}

// Workload is one kind of measurement.
type Workload struct {
	Name     string
	About    string // one sentence, for the head of the table
	SizeUnit string // what Case.Size counts
	MinSize  int    // the smallest Case.Size that makes sense
	Metrics  []Metric

	Full, Quick Scale

	kind string // a key of timers.Impl.Unsupported, kindFanOut or kindTLS; "" for a workload of servers
	run  runFunc
}

// runFunc makes one measurement. It returns the metrics, and the series for charts.
type runFunc func(context.Context, Case) (map[string]float64, map[string][]float64, error)

// Impl describes an implementation to a workload.
type Impl struct {
	Name, Module, How string
	Unsupported       string // why it cannot run the workload; "" if it can
}

// Impls lists the implementations in the order in which a round measures them.
func (w Workload) Impls() []Impl {
	var impls []Impl
	if w.kind == kindFanOut {
		return broadcasters()
	}
	if w.kind == "" || w.kind == kindTLS {
		for _, m := range servers.All() {
			impl := Impl{Name: m.Name, Module: m.Module, How: m.How + "; idle timeout: " + m.Timeout}
			if w.kind == kindTLS {
				impl.Unsupported = m.NoTLS
			}
			impls = append(impls, impl)
		}
		return impls
	}
	for _, m := range timers.All() {
		impls = append(impls, Impl{Name: m.Name, Module: m.Module, How: m.How, Unsupported: m.Unsupported[w.kind]})
	}
	return impls
}

// Metric returns the metric with the given name.
func (w Workload) Metric(name string) (Metric, bool) {
	i := slices.IndexFunc(w.Metrics, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		return Metric{}, false
	}
	return w.Metrics[i], true
}

// WorkloadByName returns the workload with the given name.
func WorkloadByName(name string) (Workload, error) {
	all := Workloads()
	i := slices.IndexFunc(all, func(w Workload) bool { return w.Name == name })
	if i < 0 {
		return Workload{}, fmt.Errorf("measure: unknown workload %q", name)
	}
	return all[i], nil
}

// Run makes one measurement in this process.
func Run(ctx context.Context, c Case) Result {
	r := Result{Case: c}
	w, err := WorkloadByName(c.Workload)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	impls := w.Impls()
	i := slices.IndexFunc(impls, func(m Impl) bool { return m.Name == c.Impl })
	if i < 0 {
		r.Error = fmt.Sprintf("measure: unknown implementation %q of %s", c.Impl, c.Workload)
		return r
	}
	r.How, r.Module = impls[i].How, impls[i].Module
	if r.Skipped = impls[i].Unsupported; r.Skipped != "" {
		return r
	}
	r.Metrics, r.Series, err = w.run(ctx, c)
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// newSessions returns the sessions of the implementation that c names.
func newSessions(c Case, cfg timers.Config) (timers.Sessions, error) {
	impl, err := timers.ByName(c.Impl)
	if err != nil {
		return nil, err
	}
	cfg.N = c.Size
	return impl.New(cfg)
}
