package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// dialing is how many clients connect at once: a crowd, but not more than a
// listener's backlog takes.
const dialing = 64

// crowd is the demo's clients.
type crowd struct {
	cfg       demoConfig
	talkers   []*talker
	wg        sync.WaitGroup
	connected atomic.Int64

	mu       sync.Mutex
	dialErr  error     // guarded by mu: why the first client that failed to connect did
	talking  int       // guarded by mu: clients meant to fall silent that have not yet
	unclosed int       // guarded by mu: those whose connection has not ended yet
	fell     time.Time // guarded by mu: when the last of them fell silent
}

// talker is one client. Its goroutine writes the record; read it after wait.
type talker struct {
	local  string
	dialed time.Time // before the connection was asked for
	record
}

// record is what a client knows of its own life.
type record struct {
	silent     bool // meant to fall silent
	talking    bool // had not fallen silent when its connection ended
	sawClose   bool // saw the server close the connection
	err        error
	gap        time.Duration // longest between two messages that were echoed
	last       time.Time     // before the last message that was echoed; at first, before the dial
	unanswered struct{ before, after time.Time }
}

func newCrowd(cfg demoConfig) *crowd {
	n, active := cfg.Clients, cfg.talkers()
	c := &crowd{cfg: cfg, talking: n - active, unclosed: n - active}
	for i := range n {
		t := &talker{}
		t.silent = (i+1)*active/n == i*active/n // the active ones are console.Spread evenly
		t.talking = true
		c.talkers = append(c.talkers, t)
	}
	return c
}

// start connects the clients to addr. They end when their connections or ctx
// do; wait waits for them.
func (c *crowd) start(ctx context.Context, addr string) {
	turns := make(chan struct{}, dialing)
	silent, quiet := c.cfg.Clients-c.cfg.talkers(), 0
	for _, t := range c.talkers {
		// The silent ones fall silent one by one over half an idle timeout, so
		// that their deadlines are console.Spread over many ticks.
		var talk time.Duration
		if t.silent {
			talk = c.cfg.Idle / 2 * time.Duration(quiet) / time.Duration(silent)
			quiet++
		}
		c.wg.Go(func() {
			select {
			case turns <- struct{}{}:
			case <-ctx.Done():
				return
			}
			t.dialed = time.Now()
			t.last = t.dialed
			conn, err := dial(ctx, addr, nil, protocol{append: appendLine})
			<-turns
			if err != nil {
				c.failed(err)
				return
			}
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			t.local = conn.LocalAddr().String()
			c.connected.Add(1)
			t.err = t.live(ctx, conn, c, talk)
			t.sawClose = t.err == nil || closedByPeer(t.err)
			c.ended(t)
		})
	}
}

// live talks until the connection ends or, if the client is to fall silent,
// for a while and then listens.
func (t *talker) live(ctx context.Context, conn *client, c *crowd, talk time.Duration) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	born := time.Now()
	body := []byte("hello from " + t.local)
	for {
		if err := t.say(conn, body); err != nil {
			return err
		}
		pause := c.cfg.interval()
		if t.silent {
			left := talk - time.Since(born)
			if left <= 0 {
				t.talking = false
				c.silenced()
				return conn.awaitClose()
			}
			pause = min(pause, left)
		}
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// say sends one message and reads its echo, keeping count of the time between.
func (t *talker) say(conn *client, body []byte) error {
	before, after, err := conn.send(body)
	if err != nil {
		return err
	}
	t.unanswered.before, t.unanswered.after = before, after
	if err := conn.receive(); err != nil {
		return err
	}
	t.gap = max(t.gap, after.Sub(t.last))
	t.last = before
	t.unanswered.before, t.unanswered.after = time.Time{}, time.Time{}
	return nil
}

// longestGap is the longest time for which the server can have had nothing new
// from the client until it closed the session. A message counts if it had been
// sent by then, whether it was echoed or not.
func (r record) longestGap(closed time.Time) time.Duration {
	gap, last := r.gap, r.last
	if u := r.unanswered; !u.after.IsZero() && u.after.Before(closed) {
		gap, last = max(gap, u.after.Sub(last)), u.before
	}
	return max(gap, closed.Sub(last))
}

// silenced notes that a client has fallen silent.
func (c *crowd) silenced() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.talking--
	c.fell = time.Now()
}

// ended notes that a client's connection has ended.
func (c *crowd) ended(t *talker) {
	if !t.silent {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unclosed--
	if t.talking { // it never came to be silent
		c.talking--
	}
}

// failed notes that a client could not connect.
func (c *crowd) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dialErr == nil {
		c.dialErr = err
	}
}

// dialError says why not every client is connected, if one failed.
func (c *crowd) dialError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dialErr == nil {
		return nil
	}
	return fmt.Errorf("not every client could connect: %s: try fewer --clients", cause(c.dialErr))
}

// settled reports whether each silent client's connection has ended, or should
// have: the last fell silent longer ago than patience.
func (c *crowd) settled(now time.Time, patience time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unclosed == 0 || c.talking == 0 && now.Sub(c.fell) > patience
}
