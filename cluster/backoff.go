package cluster

import (
	"context"
	"math/rand/v2"
	"time"
)

// The first and the longest pause of a backoff.
const (
	minBackoff = 20 * time.Millisecond
	maxBackoff = 500 * time.Millisecond
)

// backoff spaces out the attempts of a claim: it pauses for 20 ms, then for twice as
// long each time, for 500 ms at most. The zero value is ready to use.
type backoff struct{ last time.Duration }

// wait pauses. It returns early and reports false if ctx ends.
func (b *backoff) wait(ctx context.Context) bool {
	b.last = min(max(minBackoff, 2*b.last), maxBackoff)
	return sleep(ctx, b.last)
}

// sleep pauses for d and up to an eighth more, so that nodes do not act in step. It
// returns early and reports false if ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(jitter(d)):
		return true
	}
}

// jitter returns d and a random part of up to an eighth of it.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/8+1)
}
