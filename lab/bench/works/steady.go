package works

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// beat is how often the sessions that are due for activity are touched.
const beat = 5 * time.Millisecond

// steady has an idle timeout of c.Span, touches each session twice in that
// time, and measures one such time after half a one, so that every timer comes
// up and moves on about once.
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
	t := &toucher{s: s, n: c.Size, perSecond: float64(c.Size) / (c.Span / 2).Seconds(), stride: coprime(c.Size)}
	t.during(ctx, c.Span/2)
	cpu, touched, start := cpuTime(), t.touched, time.Now()
	t.during(ctx, c.Span)
	took := time.Since(start).Seconds()
	cpu, touched = cpuTime()-cpu, t.touched-touched
	return map[string]float64{
		"CPU ms/s":  float64(cpu) / 1e6 / took,
		"kept up":   float64(touched) / (t.perSecond * c.Span.Seconds()),
		"timed out": float64(expired.Load()),
	}, nil, ctx.Err()
}

// toucher touches sessions at an even pace, each once before any twice.
type toucher struct {
	s         timers.Sessions
	n         int
	perSecond float64
	stride    int
	at        int
	touched   int
}

// during touches for a while. What it is behind with when that has passed it
// leaves undone.
func (t *toucher) during(ctx context.Context, d time.Duration) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	start, done := time.Now(), 0
	for ctx.Err() == nil {
		past := min(time.Since(start), d)
		due := int(t.perSecond * past.Seconds())
		for ; done < due && time.Since(start) < d+beat; done++ {
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

// coprime is a stride that visits all of n in a scattered order.
func coprime(n int) int {
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
