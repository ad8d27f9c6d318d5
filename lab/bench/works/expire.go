package works

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// waitFor is how long after the last deadline sessions are waited for.
const waitFor = 20 * time.Second

// errTooSlow says that registering took until the sessions were due.
var errTooSlow = errors.New("works: registering the sessions took longer than they had")

// expire has all sessions due at one instant, far enough ahead for them to be
// registered; a slow implementation gets more time.
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
	s, err := newSessions(c, timers.Config{Idle: idle, Expired: func(int64) {
		late := int64(time.Since(due))
		lower(&first, late)
		raise(&last, late)
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
	resting := rest()
	if time.Until(due) < ahead/10 {
		return nil, errTooSlow
	}
	time.Sleep(time.Until(due) - ahead/20)
	p := watchPeaks()
	cpu := cpuTime()
	select {
	case <-done:
	case <-time.After(time.Until(due) + waitFor):
		return nil, fmt.Errorf("works: %d of %d sessions had not timed out %v after they were due", left.Load(), c.Size, waitFor)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	cpu = cpuTime() - cpu
	goroutines, memory := p.stop()
	return map[string]float64{
		"first ms late":       float64(first.Load()) / 1e6,
		"last ms late":        float64(last.Load()) / 1e6,
		"peak goroutines":     float64(goroutines),
		"peak/resting memory": float64(memory) / float64(resting),
		"CPU ms":              float64(cpu) / 1e6,
	}, nil
}

func lower(a *atomic.Int64, v int64) {
	for old := a.Load(); v < old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

func raise(a *atomic.Int64, v int64) {
	for old := a.Load(); v > old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

// peaks watches the number of goroutines and the footprint.
type peaks struct {
	quit, done chan struct{}
	goroutines int
	memory     uint64
}

// watchPeaks starts a goroutine that looks each millisecond; stop ends it and
// waits for it.
func watchPeaks() *peaks {
	p := &peaks{quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			p.goroutines = max(p.goroutines, runtime.NumGoroutine())
			p.memory = max(p.memory, footprint())
			select {
			case <-tick.C:
			case <-p.quit:
				return
			}
		}
	}()
	return p
}

func (p *peaks) stop() (goroutines int, memory uint64) {
	close(p.quit)
	<-p.done
	return p.goroutines, p.memory
}
