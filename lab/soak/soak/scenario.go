package soak

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
)

// Scenario is one kind of trouble.
type Scenario struct {
	Name string

	round func(context.Context, *Run) error
}

// Scenarios returns all scenarios, in the order in which they take turns.
func Scenarios() []Scenario {
	return inOrder(flags.Scenarios, map[string]func(context.Context, *Run) error{
		"clock":      clockRound,
		"library":    libraryRound,
		"freeze":     freezeRound,
		"starvation": starvationRound,
		"callbacks":  callbacksRound,
		"network":    networkRound,
		"books":      booksRound,
		"model":      modelRound,
	})
}

// inOrder returns the scenarios that the command line names. Each has a round.
func inOrder(named []flags.Scenario, rounds map[string]func(context.Context, *Run) error) []Scenario {
	var all []Scenario
	for _, s := range named {
		all = append(all, Scenario{s.Name, rounds[s.Name]})
	}
	return all
}

// Run is one round of a scenario. Its methods may be called from any goroutine.
type Run struct {
	rand    *rand.Rand // of the round's own goroutine
	short   bool       // a round for CI: less of everything
	drill   bool
	builder *builder
	broker  string     // the program that brokers are; "" for this one
	delay   *metronome // of this process, from before the round on

	operations atomic.Int64
	worst      atomic.Int64

	mu   sync.Mutex
	told []string // guarded by mu: what it did and saw
}

func newRun(scenario string, seed uint64, c Config, b *builder) *Run {
	name := fnv.New64a()
	_, _ = name.Write([]byte(scenario)) // it cannot fail
	return &Run{
		rand:  rand.New(rand.NewPCG(seed, name.Sum64())),
		short: c.Short, drill: c.Drill, builder: b, broker: c.broker,
		delay: startMetronome(),
	}
}

// count notes n more operations on what is looked at.
func (r *Run) count(n int) { r.operations.Add(int64(n)) }

// tell notes what the round did or saw, in a line for the report.
func (r *Run) tell(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

// lines are what the round has told so far.
func (r *Run) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.told)
}

// late notes a lateness that is within bounds.
func (r *Run) late(d time.Duration) {
	for old := r.worst.Load(); int64(d) > old; old = r.worst.Load() {
		if r.worst.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// size is how many there are of something: fewer in a short round.
func (r *Run) size(long, short int) int {
	if r.short {
		return short
	}
	return long
}

// span is for how long a round keeps things busy.
func (r *Run) span() time.Duration {
	if r.short {
		return time.Second
	}
	return 3 * time.Second
}

// given is the duration to give to what is looked at where d is what is judged
// by: the same, but in a drill.
func (r *Run) given(d time.Duration) time.Duration {
	if r.drill {
		return d / 2
	}
	return d
}

// between draws a duration, to the millisecond.
func (r *Run) between(least, most time.Duration) time.Duration {
	return least + time.Duration(r.rand.Int64N(int64((most-least)/time.Millisecond)+1))*time.Millisecond
}

// fork returns a source for another goroutine. Call it on the round's own.
func (r *Run) fork() *rand.Rand {
	return rand.New(rand.NewPCG(r.rand.Uint64(), r.rand.Uint64()))
}
