package pool_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// BenchmarkTouchWhileWatched has sessions touched while another goroutine takes the
// Stats and the Slots, far more often than a page or a scraper does. That delays
// the touches by no more than the processor time that it takes itself.
func BenchmarkTouchWhileWatched(b *testing.B) {
	const n = 100_000
	for _, every := range []time.Duration{0, 100 * time.Millisecond, 10 * time.Millisecond} {
		b.Run(fmt.Sprintf("sessions=%d/every=%v", n, every), func(b *testing.B) {
			w := harness.NewWheel(b, wheel.Config{})
			p, err := pool.New(pool.Config[int64, io.Closer]{IdleTimeout: costIdle, Wheel: w})
			require.NoError(b, err)
			defer p.Shutdown(context.Background())
			sessions := make([]*pool.Session[int64, io.Closer], n)
			for i := range sessions {
				sessions[i], err = p.Register(int64(i), closerFunc(func() {}))
				require.NoError(b, err)
			}
			quit := make(chan struct{})
			var watcher sync.WaitGroup
			defer watcher.Wait()
			defer close(quit)
			if every > 0 {
				watcher.Go(func() {
					t := time.NewTicker(every)
					defer t.Stop()
					for {
						select {
						case <-t.C:
							w.Stats()
							w.Slots()
							p.Stats()
						case <-quit:
							return
						}
					}
				})
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.N(n); pb.Next(); i += 7919 {
					sessions[i%n].Touch()
				}
			})
		})
	}
}
