package faults

import (
	"context"
	"errors"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// errClock says that the binary was not built by buildStepped.
var errClock = errors.New("faults: this binary cannot set its wall clock")

const (
	// clockAt is how long after the registrations the clock is first set.
	clockAt = 500 * time.Millisecond

	// clockIdle is the idle timeout of sessions registered in the new time.
	clockIdle = time.Second
)

func clockBack(ctx context.Context, c Case) (Figures, string, error) {
	return acrossSteps(ctx, c, 200, -3600)
}

func clockForward(ctx context.Context, c Case) (Figures, string, error) {
	return acrossSteps(ctx, c, 200, 3600)
}

func clockSeconds(ctx context.Context, c Case) (Figures, string, error) {
	return acrossSteps(ctx, c, 100, 3, -5, 0)
}

// acrossSteps sets the wall clock to each of the offsets, in seconds from the true
// time, and registers more sessions after each.
func acrossSteps(ctx context.Context, c Case, more int, offsets ...int64) (Figures, string, error) {
	if setWall == nil {
		return nil, "", errClock
	}
	sc := c.ordinary()
	sc.extra = more * len(offsets)
	sc.inject = func(s timers.Sessions, b *book) {
		id := int64(sc.n)
		for _, offset := range offsets {
			time.Sleep(clockAt)
			setWall(offset)
			for range more {
				b.arm(id, clockIdle)
				s.Register(id, clockIdle)
				id++
			}
		}
	}
	return sc.run(ctx, c)
}
