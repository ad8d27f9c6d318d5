package faults

import (
	"context"
	"errors"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// errClock is returned if buildStepped did not build the binary.
var errClock = errors.New("faults: this binary cannot set its wall clock")

const (
	// stepInterval is the time before each step of the clock.
	stepInterval = 500 * time.Millisecond

	// steppedIdle is the idle timeout of sessions that are registered after a step.
	steppedIdle = time.Second
)

func clockBack(ctx context.Context, c Case) (Figures, string, error) {
	return stepClock(ctx, c, 200, -3600)
}

func clockForward(ctx context.Context, c Case) (Figures, string, error) {
	return stepClock(ctx, c, 200, 3600)
}

func clockSeconds(ctx context.Context, c Case) (Figures, string, error) {
	return stepClock(ctx, c, 100, 3, -5, 0)
}

// stepClock sets the wall clock to each offset, in seconds from the true time,
// and registers more sessions after each step.
func stepClock(ctx context.Context, c Case, more int, offsets ...int64) (Figures, string, error) {
	if setWall == nil {
		return nil, "", errClock
	}
	sc := c.baseline()
	sc.extra = more * len(offsets)
	sc.inject = func(s timers.Sessions, rec *recorder) {
		id := int64(sc.n)
		for _, offset := range offsets {
			time.Sleep(stepInterval)
			setWall(offset)
			for range more {
				rec.arm(id, steppedIdle)
				s.Register(id, steppedIdle)
				id++
			}
		}
	}
	return sc.run(ctx, c)
}
