package measure

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// idleTimeout is the timeout of sessions that must not time out.
const idleTimeout = 5 * time.Minute

// withSessions registers c.Size sessions, calls f with them and stops them.
func withSessions(ctx context.Context, c Case, keep bool, f func(timers.Sessions) map[string]float64) (map[string]float64, map[string][]float64, error) {
	s, err := newSessions(c, timers.Config{Idle: idleTimeout, Keep: keep})
	if err != nil {
		return nil, nil, err
	}
	defer s.Stop()
	for id := range int64(c.Size) {
		s.Register(id, idleTimeout)
	}
	runtime.GC()
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	return f(s), nil, nil
}

func touchHot(ctx context.Context, c Case) (map[string]float64, map[string][]float64, error) {
	return withSessions(ctx, c, true, func(s timers.Sessions) map[string]float64 {
		return measureOps(1, c.Span, func(int) func() { return func() { s.Touch(0) } })
	})
}

func touchRandom(ctx context.Context, c Case) (map[string]float64, map[string][]float64, error) {
	return withSessions(ctx, c, true, func(s timers.Sessions) map[string]float64 {
		return measureOps(runtime.GOMAXPROCS(0), c.Span, func(worker int) func() {
			ids := newRandomIDs(c.Size, uint64(worker))
			return func() { s.Touch(ids.next()) }
		})
	})
}

func armStop(ctx context.Context, c Case) (map[string]float64, map[string][]float64, error) {
	m, _, err := withSessions(ctx, c, false, func(s timers.Sessions) map[string]float64 {
		a, ok := s.(timers.Armer)
		if !ok {
			return nil
		}
		return measureOps(runtime.GOMAXPROCS(0), c.Span, func(int) func() { return a.NewArm() })
	})
	if err == nil && m == nil {
		err = errors.New("measure: the implementation has no timers to arm")
	}
	return m, nil, err
}

func registerClose(ctx context.Context, c Case) (map[string]float64, map[string][]float64, error) {
	var ids atomic.Int64 // the workers' IDs are far apart
	ids.Store(int64(c.Size))
	return withSessions(ctx, c, false, func(s timers.Sessions) map[string]float64 {
		return measureOps(runtime.GOMAXPROCS(0), c.Span, func(int) func() {
			id := ids.Add(1 << 32)
			return func() {
				id++
				s.RegisterClose(id)
			}
		})
	})
}
