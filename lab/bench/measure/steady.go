package measure

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// touchInterval is the time between two batches of touches.
const touchInterval = 5 * time.Millisecond

// steady gives each session an idle timeout of c.Span and touches each twice in
// that time. It warms up for half of c.Span and measures the next c.Span, during
// which every timer comes up and moves on about once.
func steady(ctx context.Context, c Case) (map[string]float64, map[string][]float64, error) {
	var expired atomic.Int64
	s, err := newSessions(c, timers.Config{Idle: c.Span, Keep: true, Expired: func(int64) { expired.Add(1) }})
	if err != nil {
		return nil, nil, err
	}
	defer s.Stop()
	for id := range int64(c.Size) {
		s.Register(id, c.Span)
	}
	runtime.GC()
	t := &toucher{s: s, n: c.Size, perSecond: float64(c.Size) / (c.Span / 2).Seconds(), stride: coprimeStride(c.Size)}
	t.run(ctx, c.Span/2)
	cpu, touched, start := procstat.CPUTime(), t.touched, time.Now()
	t.run(ctx, c.Span)
	took := time.Since(start).Seconds()
	cpu, touched = procstat.CPUTime()-cpu, t.touched-touched
	return map[string]float64{
		"CPU ms/s":  float64(cpu) / 1e6 / took,
		"kept up":   float64(touched) / (t.perSecond * c.Span.Seconds()),
		"timed out": float64(expired.Load()),
	}, nil, ctx.Err()
}

// toucher touches sessions at an even rate, each once before any twice.
type toucher struct {
	s         timers.Sessions
	n         int
	perSecond float64
	stride    int
	at        int
	touched   int
}

// run touches sessions for d. Touches that are still due at the end of d are
// left out.
func (t *toucher) run(ctx context.Context, d time.Duration) {
	tick := time.NewTicker(touchInterval)
	defer tick.Stop()
	start, done := time.Now(), 0
	for ctx.Err() == nil {
		past := min(time.Since(start), d)
		due := int(t.perSecond * past.Seconds())
		for ; done < due && time.Since(start) < d+touchInterval; done++ {
			t.s.Touch(int64(t.at))
			if t.at += t.stride; t.at >= t.n {
				t.at -= t.n
			}
			t.touched++
		}
		if past == d {
			return
		}
		<-tick.C
	}
}

// coprimeStride returns a stride that visits each of n items once, in a
// scattered order.
func coprimeStride(n int) int {
	s := max(1, int(float64(n)*0.6180339887))
	for gcd(s, n) != 1 {
		s++
	}
	return s
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
