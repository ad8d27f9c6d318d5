package faults

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
	"github.com/sessionwheel/sessionwheel/pool"
)

// blocked has the callbacks of k sessions block for ever before any other
// session is due. Each callback runs as run has it.
func blocked(ctx context.Context, c Case, k int, run func(callback func())) (Figures, string, error) {
	sc := scene{
		n: c.scaled(3000, 500), over: time.Duration(c.scaled(3000, 1000)) * time.Millisecond,
		after: 600 * time.Millisecond, extra: k,
		newSessions: func(c Case, cfg timers.Config) (timers.Sessions, error) {
			expired := cfg.Expired
			cfg.Expired = func(id int64) { run(func() { expired(id) }) }
			return newKeeper(c, cfg)
		},
	}
	sc.instead = func(id int64) bool {
		if id >= int64(sc.n+sc.extra) {
			return true // one of watchCallers's, which it closes itself
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
	var p *peaks
	var w *callers
	sc.inject = func(s timers.Sessions, _ *book) { p, w = watchPeaks(), watchCallers(s) }
	f, text, err := sc.run(ctx, c)
	if err != nil {
		return nil, "", err
	}
	p.stop(f)
	f[waited] = millis(w.longest())
	return f, text, nil
}

// here runs a callback where it was called.
func here(callback func()) { callback() }

// elsewhere runs a callback on a goroutine that it starts.
func elsewhere(callback func()) { go callback() }

func blocked40(ctx context.Context, c Case) (Figures, string, error) {
	return blocked(ctx, c, 40, here)
}

func blocked300(ctx context.Context, c Case) (Figures, string, error) {
	return blocked(ctx, c, 300, here)
}

func blockedElsewhere(ctx context.Context, c Case) (Figures, string, error) {
	return blocked(ctx, c, 300, elsewhere)
}

// panicking is the scene in which each tenth callback panics.
func panicking() scene {
	return scene{n: 100, over: time.Second, expired: func(_ timers.Sessions, _ *book, id int64) {
		if id%10 == 0 {
			panic("the injected panic")
		}
	}}
}

func panics(ctx context.Context, c Case) (Figures, string, error) { return panicking().run(ctx, c) }

// panicsRecovered recovers the panics as each implementation has it.
func panicsRecovered(ctx context.Context, c Case) (Figures, string, error) {
	var n atomic.Int64
	sc := panicking()
	sc.newSessions = func(c Case, cfg timers.Config) (timers.Sessions, error) {
		if c.Impl == Ours {
			return newOurs(cfg, func(any, []byte) { n.Add(1) })
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
		return newKeeper(c, cfg)
	}
	f, text, err := sc.run(ctx, c)
	if err != nil {
		return nil, "", err
	}
	f[recovered] = float64(n.Load())
	return f, text, nil
}

// reentry has the callbacks call the keeper.
func reentry(ctx context.Context, c Case) (Figures, string, error) {
	sc := c.ordinary()
	n := int64(sc.n)
	sc.extra = sc.n + 1
	kept := 2 * n // the ID of the session that is touched
	sc.instead = func(id int64) bool { return id == kept }
	sc.first = func(s timers.Sessions) { s.Register(kept, hour) }
	sc.expired = func(s timers.Sessions, b *book, id int64) {
		if id >= n {
			return
		}
		const d = 50 * time.Millisecond
		b.arm(n+id, d)
		s.Register(n+id, d)
		s.Touch(kept)
		s.RegisterClose(kept + 1 + id)
	}
	return sc.run(ctx, c)
}

// nothing is a connection that nobody needs.
type nothing struct{}

func (nothing) Close() error { return nil }

// ours is a pool with OnPanic.
type ours struct {
	pool *pool.Pool[int64, nothing]
	idle time.Duration
}

func newOurs(cfg timers.Config, onPanic func(any, []byte)) (timers.Sessions, error) {
	p, err := pool.New(pool.Config[int64, nothing]{
		IdleTimeout: cfg.Idle, OnPanic: onPanic,
		OnSessionClosed: func(s *pool.Session[int64, nothing], r pool.Reason) {
			if r == pool.Timeout {
				cfg.Expired(s.ID())
			}
		},
	})
	return &ours{p, cfg.Idle}, err
}

func (o *ours) Register(id int64, idle time.Duration) {
	s, err := o.pool.Register(id, nothing{})
	if err != nil {
		panic(err) // an ID was used twice
	}
	s.SetIdleTimeout(idle)
}

func (o *ours) Touch(id int64) {
	if s, ok := o.pool.Get(id); ok {
		s.Touch()
	}
}

func (o *ours) RegisterClose(id int64) {
	o.Register(id, o.idle)
	o.pool.CloseSession(id, "done")
}

func (o *ours) Stop() {
	_ = o.pool.Shutdown(context.Background()) // only its context could end it early
}
