package metrics_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/metrics"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// BenchmarkCollect measures how long a registry takes to gather the metrics of a
// pool and its wheel, without encoding them.
func BenchmarkCollect(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			w, err := wheel.New(wheel.Config{})
			require.NoError(b, err)
			defer w.Close()
			p, err := pool.New(pool.Config[int, nothing]{Wheel: w})
			require.NoError(b, err)
			for i := range n {
				_, err := p.Register(i, nothing{})
				require.NoError(b, err)
			}
			collectors := []prometheus.Collector{metrics.Wheel("main", w), metrics.Pool("games", p.Stats)}
			ch := make(chan prometheus.Metric, 1000)
			b.ReportAllocs()
			for b.Loop() {
				for _, c := range collectors {
					c.Collect(ch)
				}
				for len(ch) > 0 {
					<-ch
				}
			}
		})
	}
}
