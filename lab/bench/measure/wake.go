package measure

import (
	"context"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/load"
)

// wakeEvery is the time from one round trip of the wake workload to the next.
const wakeEvery = 2 * time.Millisecond

// wake measures the first round trip of c.Size connections that were silent for c.Span
// or longer, and those of a connection that was active just before.
func wake(ctx context.Context, c Case) (m map[string]float64, _ map[string][]float64, err error) {
	err = withServer(ctx, overTCP, c, 0, func(p *serverProcess, frame []byte) error {
		idle, err := load.Dial(ctx, p.addr, c.Size, frame)
		if err != nil {
			return err
		}
		defer idle.Close()
		if err := pause(ctx, c.Span); err != nil {
			return err
		}
		active, err := load.Dial(ctx, p.addr, 1, frame)
		if err != nil {
			return err
		}
		defer active.Close()
		silent, busy, err := idle.Wake(ctx, active[0], frame, wakeEvery)
		if err != nil {
			return err
		}
		m = map[string]float64{
			"p99 µs":        micros(silent.Quantile(0.99)),
			"p50 µs":        micros(silent.Quantile(0.5)),
			"active p99 µs": micros(busy.Quantile(0.99)),
			"active p50 µs": micros(busy.Quantile(0.5)),
			"p99 µs later":  micros(silent.Quantile(0.99) - busy.Quantile(0.99)),
		}
		return nil
	})
	return m, nil, err
}
