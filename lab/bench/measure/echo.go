package measure

import (
	"context"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/load"
)

const (
	busyConns = 50
	bodySize  = 64
)

// idleDelay is how long connections are idle before they count as such. What a server
// keeps for those that were just active is gone by then.
const idleDelay = 4 * time.Second

// withServer starts the server of c with n idle connections and calls f.
func withServer(ctx context.Context, c Case, n int, f func(p *serverProcess, frame []byte) error) error {
	p, err := startServer(ctx, c.Impl)
	if err != nil {
		return err
	}
	defer p.stop()
	frame := load.Frame(bodySize)
	idle, err := load.Dial(ctx, p.addr, n, frame)
	if err != nil {
		return err
	}
	defer idle.Close()
	if n > 1 {
		if err := pause(ctx, idleDelay); err != nil {
			return err
		}
	}
	return f(p, frame)
}

func echo(ctx context.Context, c Case) (m map[string]float64, _ map[string][]float64, err error) {
	err = withServer(ctx, c, c.Size, func(p *serverProcess, frame []byte) error {
		busy, err := load.Dial(ctx, p.addr, busyConns, frame)
		if err != nil {
			return err
		}
		defer busy.Close()
		if _, err := busy.Run(ctx, frame, c.Span/4); err != nil { // warms up
			return err
		}
		before, err := p.request(requestUsage)
		if err != nil {
			return err
		}
		r, err := busy.Run(ctx, frame, c.Span)
		if err != nil {
			return err
		}
		after, err := p.request(requestUsage)
		if err != nil {
			return err
		}
		m = map[string]float64{
			"frames/s":            float64(r.Frames) / r.Took.Seconds(),
			"server CPU µs/frame": micros(after.CPU-before.CPU) / float64(max(1, r.Frames)),
			"p50 µs":              micros(r.Quantile(0.5)),
			"p99 µs":              micros(r.Quantile(0.99)),
			"p99.9 µs":            micros(r.Quantile(0.999)),
		}
		return nil
	})
	return m, nil, err
}

// idleConnections compares a server that has one connection with the same server
// that has c.Size more.
func idleConnections(ctx context.Context, c Case) (m map[string]float64, _ map[string][]float64, err error) {
	err = withServer(ctx, c, 1, func(p *serverProcess, frame []byte) error {
		before, err := p.request(requestInUse)
		if err != nil {
			return err
		}
		idle, err := load.Dial(ctx, p.addr, c.Size, frame)
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

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
