// Package run plans the measurements of a run, makes each in a process of its
// own, and collects their results.
package run

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
)

// Config selects what to measure.
type Config struct {
	Quick  bool           // fewer rounds and smaller sizes
	Only   *regexp.Regexp // workloads whose names match; nil means all
	Impl   *regexp.Regexp // implementations whose names match, and this project; nil means all
	Rounds int            // of each workload; 0 means the workload's own number
	Sizes  []int          // empty means each workload's own sizes
}

// Step is one measurement, or a case that is left out.
type Step struct {
	measure.Case
	Round int
	Limit time.Duration // how long the measurement may take
	Skip  string        // why the case is left out; "" if it is measured
}

// defaultLimit is the limit of a measurement whose workload sets none.
const defaultLimit = time.Minute

// Plan lists the measurements in order. Each round measures all implementations
// one after another, so that a change of the machine affects all of them alike.
func Plan(c Config) ([]Step, error) {
	var steps []Step
	for _, w := range c.Workloads() {
		s := w.Full
		if c.Quick {
			s = w.Quick
		}
		if len(c.Sizes) > 0 {
			s.Sizes = c.Sizes
		}
		if c.Rounds > 0 {
			s.Rounds = c.Rounds
		}
		steps = append(steps, c.steps(w, s)...)
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("run: no workload matches %q", c.Only)
	}
	return steps, nil
}

// Workloads lists the workloads that c selects.
func (c Config) Workloads() []measure.Workload {
	return slices.DeleteFunc(measure.Workloads(), func(w measure.Workload) bool {
		return c.Only != nil && !c.Only.MatchString(w.Name)
	})
}

func (c Config) steps(w measure.Workload, s measure.Scale) (steps []Step) {
	limit := s.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	for _, size := range s.Sizes {
		for round := range s.Rounds {
			for _, impl := range w.Impls() {
				if c.Impl != nil && impl.Name != measure.Ours && !c.Impl.MatchString(impl.Name) {
					continue
				}
				step := Step{
					Case:  measure.Case{Workload: w.Name, Impl: impl.Name, Size: size, Span: s.Span},
					Round: round, Limit: limit, Skip: impl.Unsupported,
				}
				if names, ok := s.Only[size]; ok && step.Skip == "" && !slices.Contains(names, impl.Name) {
					step.Skip = measure.TooLong
				}
				if step.Skip != "" && round > 0 {
					continue // it is listed once
				}
				steps = append(steps, step)
			}
		}
	}
	return steps
}
