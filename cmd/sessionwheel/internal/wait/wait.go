// Package wait has two ways to wait that the standard library lacks.
package wait

import (
	"context"
	"sync"
	"time"
)

// Sleep waits for d, and reports false if ctx ends first.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// AtMost waits for the group, but no longer than d.
func AtMost(group *sync.WaitGroup, d time.Duration) {
	done := make(chan struct{})
	go func() { // ends with the group
		defer close(done)
		group.Wait()
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
