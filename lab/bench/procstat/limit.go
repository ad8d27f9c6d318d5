package procstat

import (
	"context"
	"time"
)

// limitInterval is the time between two looks at a process's memory.
const limitInterval = 200 * time.Millisecond

// LimitMemory calls cancel when the process's resident memory exceeds max. When
// ctx ends, the returned channel receives whether it did.
func LimitMemory(ctx context.Context, cancel func(), pid int, max uint64) (exceeded <-chan bool) {
	result := make(chan bool, 1)
	go func() { // ends with ctx
		tick := time.NewTicker(limitInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				result <- false
				return
			case <-tick.C:
				if ResidentSet(pid) > max {
					cancel()
					result <- true
					return
				}
			}
		}
	}()
	return result
}
