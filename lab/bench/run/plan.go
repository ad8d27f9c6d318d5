// Package run plans the measurements, makes each in a process of its own, and
// gathers what they give.
package run

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

// Config says what to measure.
type Config struct {
	Quick  bool           // fewer rounds and smaller sizes
	Only   *regexp.Regexp // works whose name it matches; nil means all
	Impl   *regexp.Regexp // implementations whose name it matches, and this project; nil means all
	Rounds int            // of each work; 0 means what the work suggests
	Sizes  []int          // in place of the works' own; empty means those
}

// Step is one measurement.
type Step struct {
	works.Case
	Round int
	Limit time.Duration // how long it may take
	Skip  string        // why it is not made, or ""
}

// defaultLimit bounds a measurement that says nothing else.
const defaultLimit = time.Minute

// leftOut is why an implementation is not measured at a size.
const leftOut = "left out at this size, to keep the run short"

// Plan lists the measurements in order: each round measures all implementations
// one after the other, so that what changes about the machine changes for all.
func Plan(c Config) ([]Step, error) {
	var steps []Step
	for _, w := range works.All() {
		if c.Only != nil && !c.Only.MatchString(w.Name) {
			continue
		}
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
		steps = append(steps, c.ofWork(w, s)...)
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("run: no work matches %q", c.Only)
	}
	return steps, nil
}

func (c Config) ofWork(w works.Work, s works.Scale) (steps []Step) {
	limit := s.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	for _, size := range s.Sizes {
		for round := range s.Rounds {
			for _, impl := range w.Impls() {
				if c.Impl != nil && impl.Name != works.Ours && !c.Impl.MatchString(impl.Name) {
					continue
				}
				step := Step{
					Case:  works.Case{Work: w.Name, Impl: impl.Name, Size: size, Span: s.Span},
					Round: round, Limit: limit, Skip: impl.Not,
				}
				if names, ok := s.Only[size]; ok && step.Skip == "" && !slices.Contains(names, impl.Name) {
					step.Skip = leftOut
				}
				if step.Skip != "" && round > 0 {
					continue // once is enough
				}
				steps = append(steps, step)
			}
		}
	}
	return steps
}
