package browser

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Clients are connections to a server of lines.
type Clients struct {
	addr string

	mu sync.Mutex
	// Guarded by mu.
	conns []net.Conn

	talking sync.WaitGroup
}

// NewClients connects nobody yet.
func NewClients(addr string) *Clients { return &Clients{addr: addr} }

// Connect connects n more, from different addresses of the loopback.
func (c *Clients) Connect(n int) error {
	for range n {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, byte(rand.N(8)), byte(1+rand.N(250)))}
		conn, err := (&net.Dialer{LocalAddr: from}).Dial("tcp", c.addr)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
	}
	return nil
}

// Conns is who is connected, or was when the server closed it.
func (c *Clients) Conns() []net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]net.Conn(nil), c.conns...)
}

// Leave closes the n that have been there longest.
func (c *Clients) Leave(n int) {
	c.mu.Lock()
	gone := c.conns[:n]
	c.conns = append([]net.Conn(nil), c.conns[n:]...)
	c.mu.Unlock()
	for _, conn := range gone {
		_ = conn.Close() // the server may have been quicker
	}
}

// Crowd connects as many as most clients who each say something now and then, at
// paces of their own, and leave some time later for others to come: most hang up,
// some fall silent, and a few say too much at once. It ends with ctx; Close waits
// for it.
func (c *Clients) Crowd(ctx context.Context, most int, pace time.Duration) {
	for range most {
		c.talking.Go(func() {
			for ctx.Err() == nil {
				c.visit(ctx, pace)
			}
		})
	}
}

func (c *Clients) visit(ctx context.Context, pace time.Duration) {
	from := &net.TCPAddr{IP: net.IPv4(127, 0, byte(rand.N(8)), byte(1+rand.N(250)))}
	conn, err := (&net.Dialer{LocalAddr: from}).DialContext(ctx, "tcp", c.addr)
	if err != nil {
		sleep(ctx, pace)
		return
	}
	defer conn.Close()
	lines := bufio.NewReader(conn)
	for range 2 + rand.N(30) {
		if _, err := fmt.Fprintf(conn, "message %d\n", rand.N(1_000_000)); err != nil {
			return
		}
		if _, err := lines.ReadString('\n'); err != nil {
			return
		}
		if !sleep(ctx, time.Duration(rand.ExpFloat64()*float64(pace))) {
			return
		}
	}
	switch rand.N(12) {
	case 0, 1, 2: // falls silent
	case 3:
		_, _ = conn.Write(make([]byte, 1<<20)) // the server closes it on the way
	default:
		return
	}
	gone := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer gone()
	_, _ = lines.WriteTo(io.Discard) // until the server closes it
}

// sleep reports false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Close closes all connections and waits for the crowd, whose context has ended.
func (c *Clients) Close() error {
	c.talking.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, conn := range c.conns {
		if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
