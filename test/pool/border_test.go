package pool_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// BenchmarkProbes_BesideAMillionIdleSessions takes two and a half minutes. In that time the
// coarsest slots in use come up three times in each shard, with a million sessions that are
// all looked at and moved. The probes, timers of 20 ms one after the other, show whether
// that makes anything else late.
func BenchmarkProbes_BesideAMillionIdleSessions(b *testing.B) {
	const (
		sessions = 1_000_000
		idle     = time.Minute
		borders  = 3 * 40960 * time.Millisecond // 64 x 64 ticks of 10 ms each
	)
	w, err := wheel.New(wheel.Config{})
	require.NoError(b, err)
	defer w.Close()
	p, err := pool.New(pool.Config[int, unclosed]{Wheel: w, IdleTimeout: idle})
	require.NoError(b, err)
	all := make([]*pool.Session[int, unclosed], sessions)
	for i := range all {
		all[i], err = p.Register(i, unclosed{})
		require.NoError(b, err)
	}

	for b.Loop() {
		var late []time.Duration
		var stop atomic.Bool
		ended := make(chan struct{})
		const every = 20 * time.Millisecond
		var probe func(due time.Time) func()
		probe = func(due time.Time) func() {
			return func() {
				late = append(late, time.Since(due)) // one probe at a time
				if stop.Load() {
					close(ended)
					return
				}
				w.AfterFunc(every, probe(time.Now().Add(every)))
			}
		}
		w.AfterFunc(every, probe(time.Now().Add(every)))

		for range borders/(idle/2) + 1 {
			time.Sleep(idle / 2)
			for _, s := range all {
				s.Touch() // all at once, so that their timers stay together
			}
		}
		stop.Store(true)
		<-ended
		slices.Sort(late)
		b.ReportMetric(float64(late[len(late)/2].Microseconds())/1000, "ms-late-p50")
		b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1000, "ms-late-p99")
		b.ReportMetric(float64(late[len(late)-1].Microseconds())/1000, "ms-late-max")
		b.ReportMetric(float64(len(late)), "probes")
	}
	b.ReportMetric(0, "ns/op")
	require.Equal(b, sessions, p.Len(), "all are in time")
	require.NoError(b, p.Shutdown(b.Context()))
}

// unclosed is a connection that has nothing to close.
type unclosed struct{}

func (unclosed) Close() error { return nil }
