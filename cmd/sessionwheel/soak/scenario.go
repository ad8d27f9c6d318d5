package soak

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Scenario is one kind of trouble.
type Scenario struct {
	Name  string
	About string // what is done and what must hold, in one line

	round func(context.Context, *Run) error
}

// Scenarios returns all scenarios, in the order in which they take turns.
func Scenarios() []Scenario {
	return []Scenario{
		{"clock", "the wall clock is set back and forth under load", clockRound},
		{"library", "the library beneath stalls, jumps, fires early, dies, blocks", libraryRound},
		{"freeze", "a server is stopped beyond its idle timeout and continued", freezeRound},
		{"starvation", "one processor, busy goroutines, garbage and little memory", starvationRound},
		{"callbacks", "callbacks block, panic, call back in and close what called them", callbacksRound},
		{"network", "peers that reset, stall, trickle, send garbage; no descriptors", networkRound},
		{"books", "a million sessions: takeover, kicks, expiry, shutdown at once", booksRound},
		{"model", "random operations on wheels and pools against a simple model", modelRound},
	}
}

// Run is one round of a scenario. Its methods may be called from any goroutine.
type Run struct {
	rand  *rand.Rand // of the round's own goroutine
	short bool       // a round for CI: less of everything
	drill bool
	shop  *workshop
	delay *metronome // of this process, from before the round on

	operations atomic.Int64
	worst      atomic.Int64
}

func newRun(scenario string, seed uint64, c Config, shop *workshop) *Run {
	name := fnv.New64a()
	_, _ = name.Write([]byte(scenario)) // it cannot fail
	return &Run{
		rand:  rand.New(rand.NewPCG(seed, name.Sum64())),
		short: c.Short, drill: c.Drill, shop: shop,
		delay: startMetronome(),
	}
}

// count notes n more operations on what is looked at.
func (r *Run) count(n int) { r.operations.Add(int64(n)) }

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
