package measure

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

const (
	// latenessAhead is the time until the first session is due. It is longer than
	// one second, the resolution of the coarsest implementations.
	latenessAhead = 1100 * time.Millisecond

	// latenessWait bounds the wait after the last deadline. It is several times
	// what the coarsest implementations need.
	latenessWait = 5 * time.Second

	// latenessPoints is the number of quantiles in the series "ms late".
	latenessPoints = 401
)

// lateness registers sessions whose deadlines are spread at random over c.Span.
func lateness(ctx context.Context, c Case) (map[string]float64, map[string][]float64, error) {
	var (
		start = time.Now()
		due   = make([]time.Duration, c.Size) // since start
		late  = make([]time.Duration, c.Size)
		left  atomic.Int64
		done  = make(chan struct{})
	)
	left.Store(int64(c.Size))
	s, err := newSessions(c, timers.Config{Idle: idleTimeout, Expired: func(id int64) {
		late[id] = time.Since(start) - due[id]
		if left.Add(-1) == 0 {
			close(done)
		}
	}})
	if err != nil {
		return nil, nil, err
	}
	defer s.Stop()
	r := rand.New(rand.NewPCG(1, 2))
	for id := range int64(c.Size) {
		d := latenessAhead + time.Duration(r.Int64N(int64(c.Span)+1))
		due[id] = time.Since(start) + d
		s.Register(id, d)
	}
	select {
	case <-done:
	case <-time.After(latenessAhead + c.Span + latenessWait):
		return nil, nil, fmt.Errorf("measure: %d of %d sessions had not timed out %v after the last deadline", left.Load(), c.Size, latenessWait)
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	slices.Sort(late)
	points := make([]float64, latenessPoints)
	for i := range points {
		points[i] = millis(quantile(late, float64(i)/(latenessPoints-1)))
	}
	return map[string]float64{
		"earliest ms": millis(late[0]),
		"p50 ms":      millis(quantile(late, 0.5)),
		"p99 ms":      millis(quantile(late, 0.99)),
		"latest ms":   millis(late[len(late)-1]),
	}, map[string][]float64{"ms late": points}, nil
}

func millis(d time.Duration) float64 { return float64(d) / 1e6 }
