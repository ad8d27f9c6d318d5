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

// Clients are connections to an [EchoServer].
type Clients struct {
	addr string

	mu sync.Mutex
	// Guarded by mu.
	conns []net.Conn

	simulated sync.WaitGroup
}

// NewClients returns Clients without a connection.
func NewClients(addr string) *Clients { return &Clients{addr: addr} }

// dial connects from one of many addresses of the loopback.
func (c *Clients) dial(ctx context.Context) (net.Conn, error) {
	from := &net.TCPAddr{IP: net.IPv4(127, 0, byte(rand.N(8)), byte(1+rand.N(250)))}
	return (&net.Dialer{LocalAddr: from}).DialContext(ctx, "tcp", c.addr)
}

// Connect opens n more connections.
func (c *Clients) Connect(n int) error {
	for range n {
		conn, err := c.dial(context.Background())
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
	}
	return nil
}

// Conns returns the connections that Connect opened and Disconnect has not closed,
// the oldest first.
func (c *Clients) Conns() []net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]net.Conn(nil), c.conns...)
}

// Disconnect closes the n oldest connections.
func (c *Clients) Disconnect(n int) {
	c.mu.Lock()
	closed := c.conns[:n]
	c.conns = append([]net.Conn(nil), c.conns[n:]...)
	c.mu.Unlock()
	for _, conn := range closed {
		_ = conn.Close() // the server may have closed it first
	}
}

// Simulate runs n clients that send lines at random intervals, on average pace, and
// disconnect after some time; others take their place. Most of them hang up, some
// fall silent, and a few send a line that is too long. Simulate returns at once. The
// clients end with ctx; Close waits for them.
func (c *Clients) Simulate(ctx context.Context, n int, pace time.Duration) {
	for range n {
		c.simulated.Go(func() {
			for ctx.Err() == nil {
				c.simulateOne(ctx, pace)
			}
		})
	}
}

func (c *Clients) simulateOne(ctx context.Context, pace time.Duration) {
	conn, err := c.dial(ctx)
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
	case 0, 1, 2: // fall silent
	case 3:
		_, _ = conn.Write(make([]byte, 1<<20)) // the server closes the connection before it has read all
	default:
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_, _ = lines.WriteTo(io.Discard) // until the server closes the connection
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

// Close waits for the simulated clients, whose context must have ended, and closes
// all connections.
func (c *Clients) Close() error {
	c.simulated.Wait()
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
