// Package works measures: each work is one thing that a server does with its
// sessions, done by every implementation that can. A work runs in a process of
// its own for each measurement, so that heaps, goroutines and the state of the
// garbage collector do not mix.
package works

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

// Case is one measurement to make.
type Case struct {
	Work string        `json:"work"`
	Impl string        `json:"impl"`
	Size int           `json:"size"` // sessions, or connections
	Span time.Duration `json:"span"` // how long the work goes on; what that means is the work's
}

// Result is what one measurement gave.
type Result struct {
	Case
	Round   int                  `json:"round"`
	Took    time.Duration        `json:"took"` // the whole process, its preparation included
	How     string               `json:"how"`
	Module  string               `json:"module,omitempty"`
	Metrics map[string]float64   `json:"metrics,omitempty"`
	Series  map[string][]float64 `json:"series,omitempty"` // for charts

	// One of these says why there are no metrics.
	NA    string `json:"na,omitempty"`    // it cannot do this work, or was left out
	Error string `json:"error,omitempty"` // it failed
}

// Metric is one figure of a work. The first of a work's is what its table and
// ratios are about.
type Metric struct {
	Name   string
	Digits int  // after the point, in tables
	Higher bool // more is better
}

// Scale is how much of a work is done.
type Scale struct {
	Sizes  []int
	Rounds int
	Span   time.Duration
	Limit  time.Duration // of one measurement; 0 means a minute

	// Only names the implementations that are measured at a size; a size that is
	// not in it takes all of them.
	Only map[int][]string
}

// Work is one kind of measurement.
type Work struct {
	Name    string
	About   string // one sentence, for the table's head
	SizeOf  string // what Size counts
	Metrics []Metric

	Full, Quick Scale

	kind string // of timers.Impl.Not; "" for works with servers
	run  func(context.Context, Case) (map[string]float64, map[string][]float64, error)
}

// Impl is what the works know of an implementation.
type Impl struct {
	Name, Module, How string
	Not               string // why it cannot do the work, or ""
}

// Impls lists the implementations in the order in which a round measures them.
func (w Work) Impls() []Impl {
	var impls []Impl
	if w.kind == "" {
		for _, m := range servers.All() {
			impls = append(impls, Impl{Name: m.Name, Module: m.Module, How: m.How + "; idle timeout: " + m.Timeout})
		}
		return impls
	}
	for _, m := range timers.All() {
		impls = append(impls, Impl{Name: m.Name, Module: m.Module, How: m.How, Not: m.Not[w.kind]})
	}
	return impls
}

// Metric finds a figure of the work by its name.
func (w Work) Metric(name string) (Metric, bool) {
	i := slices.IndexFunc(w.Metrics, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		return Metric{}, false
	}
	return w.Metrics[i], true
}

// ByName finds a work.
func ByName(name string) (Work, error) {
	all := All()
	i := slices.IndexFunc(all, func(w Work) bool { return w.Name == name })
	if i < 0 {
		return Work{}, fmt.Errorf("works: there is no work called %q", name)
	}
	return all[i], nil
}

// Run makes one measurement in this process.
func Run(ctx context.Context, c Case) Result {
	r := Result{Case: c}
	w, err := ByName(c.Work)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	impls := w.Impls()
	i := slices.IndexFunc(impls, func(m Impl) bool { return m.Name == c.Impl })
	if i < 0 {
		r.Error = fmt.Sprintf("works: %s knows no implementation called %q", c.Work, c.Impl)
		return r
	}
	r.How, r.Module = impls[i].How, impls[i].Module
	if r.NA = impls[i].Not; r.NA != "" {
		return r
	}
	r.Metrics, r.Series, err = w.run(ctx, c)
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// newSessions makes the implementation that a case names.
func newSessions(c Case, cfg timers.Config) (timers.Sessions, error) {
	impl, err := timers.ByName(c.Impl)
	if err != nil {
		return nil, err
	}
	cfg.N = c.Size
	return impl.New(cfg)
}
