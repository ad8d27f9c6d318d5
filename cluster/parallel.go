package cluster

import (
	"context"
	"errors"
	"sync"
)

// How many things are done at once where there are many.
const (
	// underWay is for questions to the broker. The more there are, the more of them
	// each read and write of a connection carries, on both sides; but an answer must
	// come within one attempt.
	underWay = 1024

	// atOnce is for sessions that are closed, which may take the time of whoever has
	// them.
	atOnce = 256
)

// parallel calls do for each item, for so many at once, and returns when all calls
// have returned. After ctx has ended it starts no more of them. The error joins the
// first one of each worker.
func parallel[T any](ctx context.Context, most int, items []T, do func(context.Context, T) error) error {
	next := make(chan T)
	workers := min(most, len(items))
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
