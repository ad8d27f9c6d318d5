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

// kindTLS is the kind of the workloads over TLS.
const kindTLS = "tls"

// tlsServer begins the name of a server over TLS.
const tlsServer = "tls:"

// transport is what connections run over.
type transport struct {
	server string // begins the name of the server
	dial   func(ctx context.Context, addr string, n int, frame []byte) (load.Conns, error)
}

var (
	overTCP = transport{"", load.Dial}
	overTLS = transport{tlsServer, load.DialTLS}
)

// idleDelay is how long connections are idle before they count as such. What a server
// keeps for those that were just active is gone by then.
const idleDelay = 4 * time.Second

// withServer starts the server of c with n idle connections and calls f.
func withServer(ctx context.Context, over transport, c Case, n int, f func(p *serverProcess, frame []byte) error) error {
	p, err := startServer(ctx, over.server+c.Impl)
	if err != nil {
		return err
	}
	defer p.stop()
	frame := load.Frame(bodySize)
	idle, err := over.dial(ctx, p.addr, n, frame)
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

// echo measures n busy connections beside c.Size idle ones.
func echo(n int) runFunc {
	return func(ctx context.Context, c Case) (m map[string]float64, _ map[string][]float64, err error) {
		err = withServer(ctx, overTCP, c, c.Size, func(p *serverProcess, frame []byte) error {
			busy, err := load.Dial(ctx, p.addr, n, frame)
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
}
