package test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cluster/internal/clock"
)

// stoppable is a clock that can be made to stand still, or set forward.
type stoppable struct {
	stopped atomic.Int64 // what it shows while it stands still; 0: it goes
	ahead   atomic.Int64
}

var clockStart = time.Now()

func (s *stoppable) now() time.Duration {
	if at := s.stopped.Load(); at != 0 {
		return time.Duration(at)
	}
	return time.Since(clockStart) + time.Duration(s.ahead.Load())
}

func (s *stoppable) stop() { s.stopped.Store(int64(s.now())) }

func TestLease_IsOverWhenEitherClockSaysSo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		suspend func(mono, boot *stoppable)
		atOnce  bool
	}{
		// A laptop wakes up, or a virtual machine, and its network is late.
		{"the monotonic clock stood still for an hour", func(mono, boot *stoppable) { boot.ahead.Store(int64(time.Hour)) }, true},
		{"the monotonic clock stands still", func(mono, boot *stoppable) { mono.stop() }, false},
		{"the other clock stands still", func(mono, boot *stoppable) { boot.stop() }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, o := broker(t), newObserver()
			p := between(t, b.URL())
			mono, boot := new(stoppable), new(stoppable)
			a := newSite(t, o)
			ctx := clock.With(within(t, patience), clock.Clocks{Mono: mono.now, Boot: boot.now})
			a.joins(ctx, "a", cluster.Config{URL: p.url(), OnLeaseLost: cluster.Fence})
			c := join(t, o, "c", cluster.Config{URL: b.URL()})
			ids := names(10, "u%d")
			a.mustLogin(ids...)
			p.hold()
			tt.suspend(mono, boot)
			start := time.Now()
			if tt.atOnce {
				require.Equal(t, cluster.Isolated, a.node.State())
			}
			eventually(t, "its sessions are closed", func() bool { return a.len() == 0 })
			took := time.Since(start)
			if tt.atOnce {
				require.Less(t, took, lease/2)
			}
			t.Logf("all closed after %v", took)
			require.NoError(t, many(within(t, patience), c.retryLogin, ids...))
			require.Zero(t, o.doubled())
			p.heal()
			eventually(t, "it is back", active(a))
		})
	}
}
