package faults

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// blocked blocks the callbacks of k sessions forever, before any other session
// is due. run runs each callback.
func blocked(ctx context.Context, c Case, k int, run func(callback func())) (Figures, string, error) {
	sc := scenario{
		n: c.scaled(3000, 500), over: time.Duration(c.scaled(3000, 1000)) * time.Millisecond,
		after: 600 * time.Millisecond, extra: k,
		newSessions: func(c Case, cfg timers.Config) (timers.Sessions, error) {
			expired := cfg.Expired
			cfg.Expired = func(id int64) { run(func() { expired(id) }) }
			return newSessions(c, cfg)
		},
	}
	sc.intercept = func(id int64) bool {
		if id >= firstCallerID {
			return true // watchCallers closes its sessions itself
		}
		if id >= int64(sc.n) {
			select {}
		}
		return false
	}
	sc.first = func(s timers.Sessions) {
		for id := range int64(k) {
			s.Register(int64(sc.n)+id, 50*time.Millisecond)
		}
	}
	var p *procstat.Peaks
	var w *callers
	sc.inject = func(s timers.Sessions, _ *recorder) { p, w = procstat.WatchPeaks(), watchCallers(s) }
	f, text, err := sc.run(ctx, c)
	if err != nil {
		return nil, "", err
	}
	peakGoroutines, _ := p.Stop()
	f[goroutines] = float64(peakGoroutines)
	f[waited] = millis(w.longest())
	return f, text, nil
}

// runInline runs a callback on the calling goroutine.
func runInline(callback func()) { callback() }

// runOnGoroutine runs a callback on a new goroutine.
func runOnGoroutine(callback func()) { go callback() }

func blocked40(ctx context.Context, c Case) (Figures, string, error) {
	return blocked(ctx, c, 40, runInline)
}

func blocked300(ctx context.Context, c Case) (Figures, string, error) {
	return blocked(ctx, c, 300, runInline)
}

func blocked300Go(ctx context.Context, c Case) (Figures, string, error) {
	return blocked(ctx, c, 300, runOnGoroutine)
}

// panicking returns a scenario in which one callback in ten panics.
func panicking() scenario {
	return scenario{n: 100, over: time.Second, expired: func(_ timers.Sessions, _ *recorder, id int64) {
		if id%10 == 0 {
			panic("the injected panic")
		}
	}}
}

func panics(ctx context.Context, c Case) (Figures, string, error) { return panicking().run(ctx, c) }

// panicsRecovered recovers the panics: this project with OnPanic, the others with
// a recover in each callback.
func panicsRecovered(ctx context.Context, c Case) (Figures, string, error) {
	var n atomic.Int64
	sc := panicking()
	sc.newSessions = func(c Case, cfg timers.Config) (timers.Sessions, error) {
		if c.Impl == Ours {
			return newPoolSessions(cfg, func(any, []byte) { n.Add(1) })
		}
		expired := cfg.Expired
		cfg.Expired = func(id int64) {
			defer func() {
				if recover() != nil {
					n.Add(1)
				}
			}()
			expired(id)
		}
		return newSessions(c, cfg)
	}
	f, text, err := sc.run(ctx, c)
	if err != nil {
		return nil, "", err
	}
	f[recovered] = float64(n.Load())
	return f, text, nil
}

// reentry calls methods of the implementation in each callback.
func reentry(ctx context.Context, c Case) (Figures, string, error) {
	sc := c.baseline()
	n := int64(sc.n)
	sc.extra = sc.n + 1
	touched := 2 * n // the ID of the session that the callbacks touch
	sc.intercept = func(id int64) bool { return id == touched }
	sc.first = func(s timers.Sessions) { s.Register(touched, hour) }
	sc.expired = func(s timers.Sessions, rec *recorder, id int64) {
		if id >= n {
			return
		}
		const d = 50 * time.Millisecond
		rec.arm(n+id, d)
		s.Register(n+id, d)
		s.Touch(touched)
		s.RegisterClose(touched + 1 + id)
	}
	return sc.run(ctx, c)
}
