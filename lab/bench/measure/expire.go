package measure

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// expireWait bounds the wait after the deadline.
const expireWait = 20 * time.Second

// errTooSlow is returned when the deadline came before all sessions were
// registered.
var errTooSlow = errors.New("measure: the sessions were due before all were registered")

// expire makes all sessions due at one instant, far enough ahead to register them
// before. A slow implementation gets more time.
func expire(ctx context.Context, c Case) (m map[string]float64, _ map[string][]float64, err error) {
	ahead := max(time.Second, time.Duration(c.Size)*4*time.Microsecond)
	for range 4 {
		if m, err = expireAfter(ctx, c, ahead); !errors.Is(err, errTooSlow) {
			break
		}
		ahead *= 2
	}
	return m, nil, err
}

func expireAfter(ctx context.Context, c Case, ahead time.Duration) (map[string]float64, error) {
	var (
		start       = time.Now()
		due         = start.Add(ahead)
		left        atomic.Int64
		first, last atomic.Int64
		done        = make(chan struct{})
	)
	left.Store(int64(c.Size))
	first.Store(math.MaxInt64)
	last.Store(math.MinInt64)
	s, err := newSessions(c, timers.Config{Idle: idleTimeout, Expired: func(int64) {
		late := int64(time.Since(due))
		storeMin(&first, late)
		storeMax(&last, late)
		if left.Add(-1) == 0 {
			close(done)
		}
	}})
	if err != nil {
		return nil, err
	}
	defer s.Stop()
	for id := range int64(c.Size) {
		d := time.Until(due)
		if d < ahead/10 {
			return nil, errTooSlow
		}
		s.Register(id, d)
	}
	resting := procstat.Release()
	if time.Until(due) < ahead/10 {
		return nil, errTooSlow
	}
	time.Sleep(time.Until(due) - ahead/20)
	p := procstat.WatchPeaks()
	cpu := procstat.CPUTime()
	select {
	case <-done:
	case <-time.After(time.Until(due) + expireWait):
		return nil, fmt.Errorf("measure: %d of %d sessions had not timed out %v after the deadline", left.Load(), c.Size, expireWait)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	cpu = procstat.CPUTime() - cpu
	goroutines, memory := p.Stop()
	return map[string]float64{
		"first ms late":       float64(first.Load()) / 1e6,
		"last ms late":        float64(last.Load()) / 1e6,
		"peak goroutines":     float64(goroutines),
		"peak/resting memory": float64(memory) / float64(resting),
		"CPU ms":              float64(cpu) / 1e6,
	}, nil
}

// storeMin sets a to v if v is smaller.
func storeMin(a *atomic.Int64, v int64) {
	for old := a.Load(); v < old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

// storeMax sets a to v if v is larger.
func storeMax(a *atomic.Int64, v int64) {
	for old := a.Load(); v > old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}
