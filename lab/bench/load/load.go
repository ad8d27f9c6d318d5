// Package load is the client of the servers' workloads. It opens connections that
// stay idle, connections that send frames and wait for each echo, and subscribers,
// which only read.
package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// ioTimeout bounds a dial and an echo.
const ioTimeout = 10 * time.Second

// Frame returns a frame with a body of n bytes.
func Frame(n int) []byte {
	frame, err := tcp.AppendFrame(nil, bytes.Repeat([]byte("x"), n))
	if err != nil {
		panic(err) // n is beyond the largest frame
	}
	return frame
}

// Conns are connections to one server.
type Conns []net.Conn

// Dial opens n connections and waits until each has echoed frame, so that the
// server has allocated what it needs for them.
func Dial(ctx context.Context, addr string, n int, frame []byte) (Conns, error) {
	return dial(ctx, &net.Dialer{Timeout: ioTimeout}, addr, n, frame)
}

// DialTLS is Dial over TLS. It takes any certificate of the server's.
func DialTLS(ctx context.Context, addr string, n int, frame []byte) (Conns, error) {
	d := &tls.Dialer{NetDialer: &net.Dialer{Timeout: ioTimeout}, Config: &tls.Config{InsecureSkipVerify: true}}
	return dial(ctx, d, addr, n, frame)
}

// dialer is a net.Dialer or a tls.Dialer.
type dialer interface {
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

func dial(ctx context.Context, d dialer, addr string, n int, frame []byte) (Conns, error) {
	conns := make(Conns, 0, n)
	buf := make([]byte, len(frame))
	for range n {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			conns.Close()
			return nil, fmt.Errorf("load: connection %d of %d (is ulimit -n high enough?): %w", len(conns)+1, n, err)
		}
		conns = append(conns, c)
		_ = c.SetDeadline(time.Now().Add(ioTimeout)) // the echo would fail too
		if err := roundTrip(c, frame, buf); err != nil {
			conns.Close()
			return nil, fmt.Errorf("%w (connection %d of %d)", err, len(conns), n)
		}
		_ = c.SetDeadline(time.Time{}) // the next echo would fail too
	}
	return conns, nil
}

// Close resets the connections, so that no port stays in TIME_WAIT.
func (cs Conns) Close() {
	for _, c := range cs {
		if t, ok := c.(*tls.Conn); ok {
			c = t.NetConn()
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
	}
}

// roundTrip sends frame and waits for the echo.
func roundTrip(c net.Conn, frame, buf []byte) error {
	if _, err := c.Write(frame); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if _, err := io.ReadFull(c, buf); err != nil {
		return fmt.Errorf("load: echo: %w", err)
	}
	return nil
}

// Report is the result of Run.
type Report struct {
	Frames int
	Took   time.Duration
	Trips  []time.Duration // the round trips, sorted
}

// Quantile returns the round trip that a share q of them did not exceed.
func (r Report) Quantile(q float64) time.Duration {
	if len(r.Trips) == 0 {
		return 0
	}
	return r.Trips[min(len(r.Trips)-1, int(q*float64(len(r.Trips))))]
}

// Run sends frame on each connection, and again after each echo, until d has
// passed.
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
	_ = c.SetDeadline(until.Add(ioTimeout)) // the echo would fail too
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
