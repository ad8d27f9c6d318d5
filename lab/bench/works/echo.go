package works

import (
	"context"

	"github.com/sessionwheel/sessionwheel/lab/bench/load"
)

const (
	busyConns = 50
	bodySize  = 64
)

// withServer starts the server and c.Size connections that sit idle.
func withServer(ctx context.Context, c Case, n int, f func(p *process, frame []byte) error) error {
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
	return f(p, frame)
}

func echo(ctx context.Context, c Case) (m map[string]float64, _ map[string][]float64, err error) {
	err = withServer(ctx, c, c.Size, func(p *process, frame []byte) error {
		busy, err := load.Dial(ctx, p.addr, busyConns, frame)
		if err != nil {
			return err
		}
		defer busy.Close()
		if _, err := busy.Run(ctx, frame, c.Span/4); err != nil {
			return err
		}
		before, err := p.ask(askUsage)
		if err != nil {
			return err
		}
		r, err := busy.Run(ctx, frame, c.Span)
		if err != nil {
			return err
		}
		after, err := p.ask(askUsage)
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

// idleConnections compares the server with one connection to the same with
// c.Size more.
func idleConnections(ctx context.Context, c Case) (m map[string]float64, _ map[string][]float64, err error) {
	err = withServer(ctx, c, 1, func(p *process, frame []byte) error {
		before, err := p.ask(askHeld)
		if err != nil {
			return err
		}
		quiet, err := load.Dial(ctx, p.addr, c.Size, frame)
		if err != nil {
			return err
		}
		defer quiet.Close()
		after, err := p.ask(askHeld)
		if err != nil {
			return err
		}
		n := float64(c.Size)
		m = map[string]float64{
			"bytes/connection":     float64(int64(after.Held-before.Held)) / n,
			"RSS bytes/connection": float64(int64(after.RSS-before.RSS)) / n,
		}
		return nil
	})
	return m, nil, err
}
