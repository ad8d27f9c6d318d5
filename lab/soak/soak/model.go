package soak

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// modelLanes is how many models run side by side, each with a wheel or a pool of
// its own.
const modelLanes = 8

// modelLeast is how many operations a lane does, however late it begins.
const modelLeast = 200

// Each lane does one operation after the other and compares what it reports with
// a model. Time is real, so the model knows of each deadline only that it lies
// between two times: before the first the thing must be pending, and after it
// only an operation that says so can tell.
func modelRound(ctx context.Context, r *Run) error {
	var wg sync.WaitGroup
	errs := make([]error, modelLanes)
	end := time.Now().Add(r.span())
	for i := range errs {
		rng := r.fork()
		lane := modelWheel
		if i%2 == 1 {
			lane = modelPool
		}
		wg.Go(func() { errs[i] = lane(ctx, r, rng, end) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return firstBroken(errs...)
}

// modelDuration draws a timeout: none that comes, one that is soon over, or one
// of no time at all.
func modelDuration(rng *rand.Rand) time.Duration {
	switch rng.IntN(5) {
	case 0:
		return time.Hour
	case 1:
		return -time.Duration(rng.IntN(3))
	default:
		return time.Duration(1+rng.IntN(40)) * time.Millisecond
	}
}
