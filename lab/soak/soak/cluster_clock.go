//go:build !nocluster

package soak

import (
	"context"
	"fmt"
	"time"
)

// started is what readClocks counts from.
var started = time.Now()

// readClocks reads the monotonic clock and the wall clock.
func readClocks() (mono, wall time.Duration) {
	now := time.Now()
	return now.Sub(started), now.Round(0).Sub(started.Round(0))
}

// clockTries is how often a round is attempted at most.
const clockTries = 3

// steadily attempts a round until the wall clock was not set meanwhile: otherwise the round
// cannot be judged. A clock that is synchronized may run faster or slower by half a thousandth.
func (r *Run) steadily(ctx context.Context, read func() (mono, wall time.Duration), attempt func() error) error {
	for try := 1; ; try++ {
		monoBegan, wallBegan := read()
		err := attempt()
		mono, wall := read()
		passed := mono - monoBegan
		off := wall - wallBegan - passed
		if off.Abs() <= 10*time.Millisecond+passed/1000 || ctx.Err() != nil {
			return err
		}
		if try == clockTries {
			return fmt.Errorf("this machine's wall clock, which dates the sessions, was set during each of %d attempts, in the last by %v", try, off)
		}
		r.tell("this machine's wall clock was set by %v: the round begins again", off)
	}
}
