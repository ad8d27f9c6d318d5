// Package load is the client side of the echo benchmarks: connections that send
// frames and wait for each to come back, and such that sit idle. It costs the
// same for every server.
package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// patience is how long a dial, or an echo of an idle connection, may take.
const patience = 10 * time.Second

// Frame is a frame with a body of n bytes.
func Frame(n int) []byte {
	frame, err := tcp.AppendFrame(nil, bytes.Repeat([]byte("x"), n))
	if err != nil {
		panic(err) // the benchmarks' bodies are small
	}
	return frame
}

// Conns are connections to one server.
type Conns []net.Conn

// Dial opens n connections and has each echo frame once, so that the server
// has set up whatever it sets up.
func Dial(ctx context.Context, addr string, n int, frame []byte) (Conns, error) {
	d := net.Dialer{Timeout: patience}
	conns := make(Conns, 0, n)
	buf := make([]byte, len(frame))
	for range n {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			conns.Close()
			return nil, fmt.Errorf("load: connection %d of %d (is ulimit -n high enough?): %w", len(conns)+1, n, err)
		}
		conns = append(conns, c)
		_ = c.SetDeadline(time.Now().Add(patience)) // the echo would tell
		if err := roundTrip(c, frame, buf); err != nil {
			conns.Close()
			return nil, fmt.Errorf("load: connection %d of %d: %w", len(conns), n, err)
		}
		_ = c.SetDeadline(time.Time{}) // the next echo would tell
	}
	return conns, nil
}

// Close closes the connections with a reset, so that no port lingers.
func (cs Conns) Close() {
	for _, c := range cs {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
	}
}

// roundTrip sends frame and waits for it to come back.
func roundTrip(c net.Conn, frame, buf []byte) error {
	if _, err := c.Write(frame); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if _, err := io.ReadFull(c, buf); err != nil {
		return fmt.Errorf("load: echo: %w", err)
	}
	return nil
}

// Report is what a time of load gave.
type Report struct {
	Frames int
	Took   time.Duration
	Trips  []time.Duration // sorted
}

// Quantile is the round trip that a share q of them did not exceed.
func (r Report) Quantile(q float64) time.Duration {
	if len(r.Trips) == 0 {
		return 0
	}
	return r.Trips[min(len(r.Trips)-1, int(q*float64(len(r.Trips))))]
}

// Run has each connection send frame, again whenever it has come back, for d.
func (cs Conns) Run(ctx context.Context, frame []byte, d time.Duration) (Report, error) {
	var (
		all sync.WaitGroup
		mu  sync.Mutex
		r   Report
		bad error
	)
	start := time.Now()
	for _, c := range cs {
		all.Go(func() {
			trips, err := run(ctx, c, frame, start.Add(d))
			mu.Lock()
			defer mu.Unlock()
			r.Trips = append(r.Trips, trips...)
			if err != nil {
				bad = err
			}
		})
	}
	all.Wait()
	r.Took = time.Since(start)
	r.Frames = len(r.Trips)
	slices.Sort(r.Trips)
	return r, bad
}

func run(ctx context.Context, c net.Conn, frame []byte, until time.Time) ([]time.Duration, error) {
	_ = c.SetDeadline(until.Add(patience)) // the echo would tell
	buf := make([]byte, len(frame))
	trips := make([]time.Duration, 0, 1<<14)
	from := time.Now()
	for ctx.Err() == nil && from.Before(until) {
		if err := roundTrip(c, frame, buf); err != nil {
			return trips, err
		}
		now := time.Now()
		trips = append(trips, now.Sub(from))
		from = now
	}
	return trips, ctx.Err()
}
