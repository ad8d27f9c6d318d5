package cluster

import (
	"context"
	"errors"
	"sync"
)

// underWay is how many things are done at once where there are many: questions to
// the broker, since its answers come one by one and in between others can be asked,
// and sessions that are closed. A broker that is so slow that an answer to as many
// takes longer than one attempt would have all of them asked again.
const underWay = 256

// parallel calls do for each item and returns when all calls have returned. After
// ctx has ended it starts no more of them. The error joins the first one of each
// worker.
func parallel[T any](ctx context.Context, items []T, do func(context.Context, T) error) error {
	next := make(chan T)
	workers := min(underWay, len(items))
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
