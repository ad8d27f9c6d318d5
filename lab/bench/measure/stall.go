package measure

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

const (
	// registerInterval is the shortest time between two registrations.
	registerInterval = 50 * time.Microsecond

	// StallBucket is the resolution of the series "longest µs".
	StallBucket = 10 * time.Millisecond
)

// stall registers one session after another for c.Span, beside c.Size idle ones.
// The goroutine never sleeps, so that its own wake-ups are not measured.
func stall(ctx context.Context, c Case) (map[string]float64, map[string][]float64, error) {
	var took []time.Duration
	longest := make([]float64, c.Span/StallBucket+1)
	_, _, err := withSessions(ctx, c, false, func(s timers.Sessions) map[string]float64 {
		took = make([]time.Duration, 0, c.Span/registerInterval+1)
		id, start := int64(c.Size), time.Now()
		for next := time.Duration(0); next < c.Span && ctx.Err() == nil; {
			from := time.Since(start)
			if from < next {
				runtime.Gosched()
				continue
			}
			s.Register(id, idleTimeout)
			d := time.Since(start) - from
			id++
			took = append(took, d)
			next = max(next+registerInterval, from+d)
			for i := from / StallBucket; i <= (from+d)/StallBucket && int(i) < len(longest); i++ {
				longest[i] = max(longest[i], micros(d))
			}
		}
		return nil
	})
	if err != nil || len(took) == 0 {
		return nil, nil, err
	}
	slices.Sort(took)
	return map[string]float64{
		"longest µs": micros(took[len(took)-1]),
		"p99.9 µs":   micros(quantile(took, 0.999)),
		"p50 µs":     micros(quantile(took, 0.5)),
	}, map[string][]float64{"longest µs": longest}, nil
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }

// quantile returns the value that a share q of the sorted values do not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
