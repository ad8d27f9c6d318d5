package measure

import (
	"context"
	"time"
)

// gcCount is how many collections requestGC counts.
const gcCount = 20

// idleConnections compares a server that has one connection with the same server
// that has c.Size more.
func idleConnections(over transport) runFunc {
	return func(ctx context.Context, c Case) (m map[string]float64, _ map[string][]float64, err error) {
		err = withServer(ctx, over, c, 1, func(p *serverProcess, frame []byte) error {
			before, err := p.request(requestInUse)
			if err != nil {
				return err
			}
			idle, err := over.dial(ctx, p.addr, c.Size, frame)
			if err != nil {
				return err
			}
			defer idle.Close()
			if err := pause(ctx, idleDelay); err != nil {
				return err
			}
			after, err := p.request(requestInUse)
			if err != nil {
				return err
			}
			n := float64(c.Size)
			m = map[string]float64{
				"bytes/connection":     float64(int64(after.InUse-before.InUse)) / n,
				"RSS bytes/connection": float64(int64(after.RSS-before.RSS)) / n,
			}
			return nil
		})
		return m, nil, err
	}
}

// idleGC measures what a garbage collection costs a server with c.Size idle connections.
func idleGC(ctx context.Context, c Case) (m map[string]float64, _ map[string][]float64, err error) {
	err = withServer(ctx, overTCP, c, c.Size, func(p *serverProcess, _ []byte) error {
		st, err := p.request(requestGC)
		if err != nil {
			return err
		}
		m = map[string]float64{
			"CPU µs/GC":   micros(st.GC) / gcCount,
			"pause µs/GC": micros(st.Pause) / gcCount,
		}
		return nil
	})
	return m, nil, err
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
