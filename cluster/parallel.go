package cluster

import (
	"context"
	"errors"
	"sync"
)

// maxInFlight bounds concurrent broker requests and session closes. With more requests,
// a slow broker would not answer all of them within one attempt, and all would be
// repeated.
const maxInFlight = 256

// parallel calls do for each item, on up to maxInFlight goroutines, and returns when all
// calls have returned. It starts no more calls after ctx has ended. The returned error
// joins the first error of each goroutine.
func parallel[T any](ctx context.Context, items []T, do func(context.Context, T) error) error {
	next := make(chan T)
	workers := min(maxInFlight, len(items))
	errs := make([]error, workers+1)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for item := range next {
				if err := do(ctx, item); err != nil && errs[w] == nil {
					errs[w] = err
				}
			}
		})
	}
feed:
	for _, item := range items {
		select {
		case next <- item:
		case <-ctx.Done():
			errs[workers] = ctx.Err()
			break feed
		}
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}
