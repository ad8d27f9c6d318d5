package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
)

// load is one run of the load generator: its connections and what they measure.
type load struct {
	cfg   Config
	proto echo.Protocol
	began time.Time
	wg    sync.WaitGroup // all connections
	talks sync.WaitGroup // the active ones

	roundTrips *latencies
	settled    atomic.Int64 // connections made, or failed
	open       atomic.Int64
	active     atomic.Int64 // active connections not made yet, or still sending
	sent       atomic.Int64 // messages echoed while measuring
	waiting    atomic.Int64 // idle connections not made yet, or still open
	quiet      atomic.Int64 // idle connections that wait for the server to close them
	closed     atomic.Int64 // idle connections closed by the server
	measuring  atomic.Bool  // between the last connection's birth and stop
	stopped    atomic.Bool  // errors are no longer the server's
	failures   atomic.Int64

	mu        sync.Mutex
	errors    map[string]int // guarded by mu: by cause
	early     int            // guarded by mu: idle connections closed before --idle-timeout
	lateness  console.Spread // guarded by mu: of the others; until the close, if --idle-timeout is 0
	lastIdle  time.Time      // guarded by mu: when the last idle connection sent its message
	connected time.Time      // guarded by mu: when all were; measured from here
	ended     time.Time      // guarded by mu: when measuring stopped
	left      int            // guarded by mu: idle connections still open then
	overdue   int            // guarded by mu: those of them that should have been closed
}

func newLoad(cfg Config) *load {
	l := &load{
		cfg: cfg, proto: echo.ProtocolOf(cfg.Split), began: time.Now(),
		roundTrips: newLatencies(), errors: map[string]int{},
	}
	l.active.Store(int64(cfg.Active))
	l.waiting.Store(int64(cfg.Idle))
	return l
}

// start makes the connections, the idle ones first. They end when the server
// closes them or ctx ends; the active ones send nothing more once talk ends. wg
// waits for them.
func (l *load) start(ctx, talk context.Context) {
	connect, cancel := context.WithTimeout(ctx, l.cfg.ConnectTimeout)
	turns := make(chan struct{}, echo.Dialing)
	config := l.cfg.tlsConfig()
	var dialed sync.WaitGroup
	l.talks.Add(l.cfg.Active)
	for i := range l.cfg.Idle + l.cfg.Active {
		dialed.Add(1)
		l.wg.Go(func() {
			var (
				c   *echo.Client
				err error
			)
			select {
			case turns <- struct{}{}:
				c, err = echo.Dial(connect, l.cfg.Addr, config, l.proto)
				<-turns
			case <-connect.Done():
				err = connect.Err()
			}
			dialed.Done()
			if err == nil {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				l.open.Add(1)
				defer l.open.Add(-1)
			}
			l.settle()
			if i < l.cfg.Idle {
				l.idle(c, err)
			} else {
				defer l.talks.Done()
				l.talk(talk, c, err, i-l.cfg.Idle)
			}
		})
	}
	l.wg.Go(func() { // ends once every connection is made or has failed
		dialed.Wait()
		cancel()
	})
}

// settle notes that one more connection was made or failed. The last starts the
// measurement.
func (l *load) settle() {
	if int(l.settled.Add(1)) < l.cfg.Active+l.cfg.Idle {
		return
	}
	l.mu.Lock()
	l.connected = time.Now()
	l.mu.Unlock()
	l.measuring.Store(true)
}

// idle sends one message and waits for the server to close the connection.
func (l *load) idle(c *echo.Client, err error) {
	defer l.waiting.Add(-1)
	if err != nil {
		l.fail(err)
		return
	}
	before, _, err := c.Send(l.body(0))
	if err == nil {
		err = c.Receive()
	}
	if err != nil {
		l.fail(err)
		return
	}
	l.mu.Lock()
	l.lastIdle = time.Now()
	l.mu.Unlock()
	l.quiet.Add(1)
	defer l.quiet.Add(-1)
	err = c.AwaitClose()
	now := time.Now()
	if l.stopped.Load() {
		return // closed here
	}
	if err != nil {
		l.fail(err)
		return
	}
	l.closed.Add(1)
	// Counted from before the message was sent, which is no later than the
	// server's last sign of life: lateness is never flattered, and a close
	// that looks early was.
	late := now.Sub(before) - l.cfg.IdleTimeout
	l.mu.Lock()
	defer l.mu.Unlock()
	if late < 0 {
		l.early++
		return
	}
	l.lateness = append(l.lateness, late)
}

// talk sends messages, each once the last was echoed and, with --rate, not
// before it is due. The nth connection's turn comes a fraction of the interval
// after that of the one before.
func (l *load) talk(ctx context.Context, c *echo.Client, err error, nth int) {
	defer l.active.Add(-1)
	if err != nil {
		l.fail(err)
		return
	}
	var interval time.Duration
	due := time.Now()
	if l.cfg.Rate > 0 {
		interval = time.Duration(float64(l.cfg.Active) / l.cfg.Rate * float64(time.Second))
		due = due.Add(interval / time.Duration(l.cfg.Active) * time.Duration(nth))
	}
	body := l.body(nth)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		if interval > 0 {
			timer.Reset(time.Until(due))
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		body[n%len(body)] = 'a' + byte(n%26)
		before, _, err := c.Send(body)
		if err == nil {
			err = c.Receive()
		}
		if err != nil {
			l.fail(err)
			return
		}
		if interval > 0 {
			before, due = due, due.Add(interval)
		}
		if l.measuring.Load() {
			l.sent.Add(1)
			l.roundTrips.record(nth, time.Since(before))
		}
	}
}

// body is the nth connection's message.
func (l *load) body(nth int) []byte {
	b := make([]byte, l.cfg.Size)
	for i := range b {
		b[i] = 'a' + byte((nth+i)%26)
	}
	return b
}

// fail counts an error by its cause, unless it is the run's own end.
func (l *load) fail(err error) {
	if l.stopped.Load() {
		return
	}
	l.failures.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errors[echo.Cause(err)]++
}

// stop ends the measurement; what fails from here on is not counted.
func (l *load) stop() {
	l.measuring.Store(false)
	l.stopped.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = time.Now()
	l.left = int(l.quiet.Load())
	if l.isOverdueLocked(l.ended) {
		l.overdue = l.left
	}
}

// isOverdueLocked tells whether the server should have closed every idle
// connection by now.
func (l *load) isOverdueLocked(now time.Time) bool {
	return l.cfg.IdleTimeout > 0 && !l.lastIdle.IsZero() && now.Sub(l.lastIdle) > l.cfg.IdleTimeout+overdue
}

// done tells whether the run is over: the time is up and, when their deadline
// is known, the idle connections are closed or overdue; or none is left.
func (l *load) done(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.connected.IsZero():
		return false
	case l.active.Load() == 0 && l.waiting.Load() == 0:
		return true
	case now.Sub(l.connected) < l.cfg.Duration:
		return false
	case l.cfg.IdleTimeout == 0 || l.waiting.Load() == 0:
		return true
	}
	return l.isOverdueLocked(now)
}

// line is the state of things in 80 columns.
func (l *load) line(now time.Time) string {
	if !l.measuring.Load() {
		return fmt.Sprintf("%5.1fs  connecting  %s of %s  errors %s", now.Sub(l.began).Seconds(),
			console.Count(int(l.settled.Load())), console.Count(l.cfg.Active+l.cfg.Idle), console.Count(int(l.failures.Load())))
	}
	l.mu.Lock()
	since := max(0, now.Sub(l.connected).Seconds())
	l.mu.Unlock()
	sent := int(l.sent.Load())
	text := fmt.Sprintf("%5.1fs  open %s  messages %s (%s/s)  errors %s", since, console.Count(int(l.open.Load())),
		console.Count(sent), console.Count(int(float64(sent)/max(since, 0.001))), console.Count(int(l.failures.Load())))
	if l.cfg.Idle > 0 {
		text += "  idle closed " + console.Count(int(l.closed.Load()))
	}
	return text
}
