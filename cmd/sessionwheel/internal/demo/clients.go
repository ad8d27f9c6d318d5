package demo

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
)

// clients are the demo's.
type clients struct {
	cfg       Config
	all       []*client
	wg        sync.WaitGroup
	connected atomic.Int64

	mu       sync.Mutex
	dialErr  error     // guarded by mu: why the first client that failed to connect did
	talking  int       // guarded by mu: clients meant to fall silent that have not yet
	unclosed int       // guarded by mu: those whose connection has not ended yet
	fell     time.Time // guarded by mu: when the last of them fell silent
}

func newClients(cfg Config) *clients {
	n, active := cfg.Clients, cfg.talking()
	c := &clients{cfg: cfg, talking: n - active, unclosed: n - active}
	for i := range n {
		one := &client{}
		one.silent = (i+1)*active/n == i*active/n // the active ones are spread evenly
		one.talking = true
		c.all = append(c.all, one)
	}
	return c
}

// start connects the clients to addr. They end when their connections end or ctx
// does; wg waits for them.
func (c *clients) start(ctx context.Context, addr string) {
	turns := make(chan struct{}, echo.Dialing)
	silent, nth := c.cfg.Clients-c.cfg.talking(), 0
	for _, one := range c.all {
		// The silent ones fall silent one by one over half an idle timeout, so
		// that their deadlines are spread over many ticks.
		var talk time.Duration
		if one.silent {
			talk = c.cfg.Idle / 2 * time.Duration(nth) / time.Duration(silent)
			nth++
		}
		c.wg.Go(func() {
			select {
			case turns <- struct{}{}:
			case <-ctx.Done():
				return
			}
			one.dialed = time.Now()
			one.last = one.dialed
			conn, err := echo.Dial(ctx, addr, nil, echo.Lines)
			<-turns
			if err != nil {
				c.failed(err)
				return
			}
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			one.local = conn.LocalAddr().String()
			c.connected.Add(1)
			one.err = one.run(ctx, conn, c, talk)
			one.sawClose = one.err == nil || echo.ClosedByPeer(one.err)
			c.ended(one)
		})
	}
}

// silenced notes that a client has fallen silent.
func (c *clients) silenced() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.talking--
	c.fell = time.Now()
}

// ended notes that a client's connection has ended.
func (c *clients) ended(one *client) {
	if !one.silent {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unclosed--
	if one.talking { // it never fell silent
		c.talking--
	}
}

// failed notes that a client could not connect.
func (c *clients) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dialErr == nil {
		c.dialErr = err
	}
}

// dialError says why not every client is connected, if one failed.
func (c *clients) dialError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dialErr == nil {
		return nil
	}
	return fmt.Errorf("not every client could connect: %s: try fewer --clients", echo.Cause(c.dialErr))
}

// settled reports whether each silent client's connection has ended, or should
// have: the last fell silent longer ago than patience.
func (c *clients) settled(now time.Time, patience time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unclosed == 0 || c.talking == 0 && now.Sub(c.fell) > patience
}
