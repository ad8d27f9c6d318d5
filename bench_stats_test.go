package sessionwheel_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
)

// BenchmarkTouchWhileWatched has sessions touched while somebody takes the Stats
// and the Slots, as often as a page or a scraper never would. It holds up nobody
// but for the processor time that it takes itself.
func BenchmarkTouchWhileWatched(b *testing.B) {
	const n = 100_000
	for _, every := range []time.Duration{0, 100 * time.Millisecond, 10 * time.Millisecond} {
		b.Run(fmt.Sprintf("sessions=%d/every=%v", n, every), func(b *testing.B) {
			w := benchWheel(b)
			defer w.Close()
			p, err := pool.New(pool.Config[int64, io.Closer]{IdleTimeout: benchIdle, Wheel: w})
			require.NoError(b, err)
			defer p.Shutdown(context.Background())
			sessions := make([]*pool.Session[int64, io.Closer], n)
			for i := range sessions {
				sessions[i], err = p.Register(int64(i), benchConn)
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
			order := touchOrder(n)
			var workers atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				next := order.walk(int(workers.Add(1) - 1))
				for pb.Next() {
					sessions[next()].Touch()
				}
			})
		})
	}
}
