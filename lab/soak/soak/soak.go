package soak

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"time"
)

const (
	// endless is how long a round may take. The longest takes two minutes on a slow
	// machine, and building its child half a minute.
	endless = 5 * time.Minute

	// ending is how long a round may take to end when it is told to, before it is
	// held to hang.
	ending = 20 * time.Second

	progressEvery = 100 * time.Millisecond
)

// Config says what a soak does.
type Config struct {
	// Duration is how long new rounds are started for, not counting the time that
	// programs take to build. Every scenario has at least one round, and a round that
	// has started runs to its end: so a soak takes longer.
	Duration time.Duration

	// Seed is what the rounds draw from.
	Seed uint64

	// Cluster picks ClusterScenarios in the place of Scenarios.
	Cluster bool

	// Only picks scenarios by name. Nil means all.
	Only *regexp.Regexp

	// Drill gives to what is looked at half of each duration that is judged by, and
	// has the nodes of a cluster ignore evictions, so that every scenario must see a
	// guarantee broken.
	Drill bool

	// Short makes rounds for CI: less of everything.
	Short bool

	// Progress is called on Run's goroutine, ten times a second and when a
	// scenario is left out. May be nil.
	Progress func(Progress)

	endless, ending time.Duration // of tests; 0 means the constants
	broker          string        // of tests: the program that brokers are; "" means this one
}

// or is d, or standard if d is zero.
func or(d, standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return d
}

// Progress is how a soak stands.
type Progress struct {
	Scenario   string
	Round      int // from 1
	Operations int64
	Worst      time.Duration // of this round: lateness, or a recovery from a fault of a cluster
	Took       time.Duration // by the soak, without its builds; or by the build that is under way
	Building   string        // the program that is being built for the round; "" if none is
	LeftOut    string        // why the scenario is left out, at the moment when that shows
}

// Verdict says in a word what came of a scenario.
type Verdict string

// What may come of a scenario.
const (
	Held     Verdict = "held"
	Failed   Verdict = "BROKEN"
	NotRun   Verdict = "not run"
	Omitted  Verdict = "left out"
	Unjudged Verdict = "error" // a round could not be run to its end
)

// Tally is what came of one scenario.
type Tally struct {
	Scenario   string        `json:"scenario"`
	Rounds     int           `json:"rounds"` // whole ones
	Operations int64         `json:"operations"`
	Worst      time.Duration `json:"worst_ns"` // lateness, or a recovery from a fault of a cluster
	Verdict    Verdict       `json:"verdict"`
	Why        string        `json:"why,omitempty"`
	Last       []string      `json:"last,omitempty"` // what the last round did and saw, in the scenarios that say it
}

// Failure is a broken guarantee, and where it showed.
type Failure struct {
	Scenario  string `json:"scenario"`
	Guarantee string `json:"guarantee"`
	Seen      string `json:"seen"`
	Seed      uint64 `json:"seed"` // of the round: a soak with it, of this scenario alone, begins with that round
}

// Result is what came of a soak.
type Result struct {
	Tallies []Tally  `json:"scenarios"`
	Failure *Failure `json:"failure,omitempty"`
}

// All returns the scenarios that Only picks from.
func (c Config) All() []Scenario {
	if c.Cluster {
		return ClusterScenarios()
	}
	return Scenarios()
}

// Selected returns the scenarios that Only picks.
func (c Config) Selected() []Scenario {
	var some []Scenario
	for _, s := range c.All() {
		if c.Only == nil || c.Only.MatchString(s.Name) {
			some = append(some, s)
		}
	}
	return some
}

// Run soaks until the time is up, a guarantee is broken, or ctx ends. The result
// is what came of it so far in any case. The error is nil when the time was up
// and when a guarantee was broken, which Result.Failure tells; the cause of ctx;
// or what kept a round from being run. All processes that were started have
// ended when it returns, and all goroutines unless a round hangs, which is a
// broken guarantee.
func (c Config) Run(ctx context.Context) (Result, error) {
	b := &builder{}
	defer b.close()
	var res Result
	var pending []Scenario
	for _, s := range c.Selected() {
		pending = append(pending, s)
		res.Tallies = append(res.Tallies, Tally{Scenario: s.Name, Verdict: NotRun})
	}
	began := time.Now()
	for round := 1; ; round++ {
		left := 0
		for i, s := range pending {
			t := &res.Tallies[i]
			if t.Verdict == Omitted {
				continue
			}
			left++
			if round > 1 && time.Since(began)-b.total() >= c.Duration {
				return res, nil
			}
			seed := c.Seed + uint64(round-1)
			switch err := c.round(ctx, s, round, seed, b, t, began); {
			case ctx.Err() != nil:
				return res, context.Cause(ctx)
			case err != nil:
				return c.failed(res, t, seed, err)
			}
		}
		if left == 0 {
			return res, nil
		}
	}
}

// round runs one round, and counts it unless ctx has ended by then.
func (c Config) round(ctx context.Context, s Scenario, n int, seed uint64, b *builder, t *Tally, began time.Time) error {
	r := newRun(s.Name, seed, c, b)
	defer r.delay.stop()
	err := c.watch(ctx, s, r, n, began)
	t.Operations += r.operations.Load()
	t.Worst = max(t.Worst, time.Duration(r.worst.Load()))
	t.Last = r.lines()
	if ctx.Err() != nil {
		return nil
	}
	var out *LeftOut
	if errors.As(err, &out) {
		t.Verdict, t.Why = Omitted, out.Why
		if c.Progress != nil {
			c.Progress(Progress{Scenario: s.Name, Round: n, Took: time.Since(began) - b.total(), LeftOut: out.Why})
		}
		return nil
	}
	if err == nil {
		t.Rounds++
		t.Verdict = Held
	}
	return err
}

// watch shows the progress while the round runs.
func (c Config) watch(ctx context.Context, s Scenario, r *Run, n int, began time.Time) error {
	limit := or(c.endless, endless)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.round(ctx, r) }() // ends with the round, which ends with ctx; waited for below
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	stop := ctx.Done()
	var hangs <-chan time.Time
	for {
		select {
		case err := <-done:
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return broken(survival, "it took more than %v, and ended with: %v", limit, err)
			}
			return err
		case <-stop:
			stop, hangs = nil, time.After(or(c.ending, ending))
		case <-hangs:
			stacks := make([]byte, 64<<10)
			return broken(survival, "it hangs; its goroutines:\n%s", stacks[:runtime.Stack(stacks, true)])
		case <-ticker.C:
			if c.Progress != nil {
				c.Progress(r.progress(s.Name, n, began))
			}
		}
	}
}

// progress is how the nth round stands.
func (r *Run) progress(scenario string, n int, began time.Time) Progress {
	what, took := r.builder.building()
	if what == "" {
		took = time.Since(began) - r.builder.total()
	}
	return Progress{
		Scenario: scenario, Round: n, Building: what, Took: took,
		Operations: r.operations.Load(), Worst: time.Duration(r.worst.Load()),
	}
}

func (c Config) failed(res Result, t *Tally, seed uint64, err error) (Result, error) {
	var b *Broken
	if !errors.As(err, &b) {
		t.Verdict, t.Why = Unjudged, err.Error()
		return res, fmt.Errorf("scenario %s, seed %d: %w", t.Scenario, seed, err)
	}
	t.Verdict, t.Why = Failed, b.Guarantee
	res.Failure = &Failure{Scenario: t.Scenario, Guarantee: b.Guarantee, Seen: b.Seen, Seed: seed}
	return res, nil
}
