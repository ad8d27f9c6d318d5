package soak

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

type modelPoolSession = pool.Session[int, *modelConn]

// modelConn is a session's connection, how it ended, and what the model knows.
type modelConn struct {
	mu sync.Mutex
	// Guarded by mu.
	closes, told int
	reason       pool.Reason
	at           time.Duration

	// The model's, of the lane's goroutine.
	session *modelPoolSession
	gone    pool.Reason // why the model has it closed; "" is open, for all that it knows
	holds   []func()
	idle    time.Duration
	active  time.Duration // its last activity was then or later
	due     time.Duration // it does not time out before
}

// Close is called by the pool.
func (c *modelConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closes++
	return nil
}

// poolLane is a pool and its model.
type poolLane struct {
	r       *Run
	rng     *rand.Rand
	start   time.Time
	pool    *pool.Pool[int, *modelConn]
	replace bool
	max     int
	idle    time.Duration
	last    map[int]*modelConn // by ID, open for all that the model knows, or closed
	all     []*modelConn
}

// modelPool runs a model of a pool.
func modelPool(ctx context.Context, r *Run, rng *rand.Rand, end time.Time) error {
	l := &poolLane{
		r: r, rng: rng, start: time.Now(), replace: rng.IntN(2) == 0,
		max: rng.IntN(2) * (2 + rng.IntN(4)), idle: time.Duration(5+rng.IntN(60)) * time.Millisecond,
		last: make(map[int]*modelConn),
	}
	c := pool.Config[int, *modelConn]{
		IdleTimeout: r.given(l.idle), MaxSessions: l.max,
		OnSessionClosed: func(s *modelPoolSession, reason pool.Reason) {
			c := s.Conn()
			c.mu.Lock()
			defer c.mu.Unlock()
			c.told++
			c.reason, c.at = reason, time.Since(l.start)
		},
	}
	if l.replace {
		c.OnDuplicate = pool.Replace
	}
	var err error
	if l.pool, err = pool.New(c); err != nil {
		return err
	}
	for n := 0; (n < modelLeast || time.Now().Before(end)) && ctx.Err() == nil && err == nil; n++ {
		r.count(1)
		err = l.step()
		if rng.IntN(4) == 0 {
			time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
		}
	}
	for _, c := range l.all {
		for _, release := range c.holds {
			release()
		}
	}
	limit, cancel := context.WithTimeout(ctx, callbackPatience)
	defer cancel()
	if down := l.pool.Shutdown(limit); down != nil && err == nil {
		err = broken(closeEnds, "%v", down)
	}
	if err != nil {
		return err
	}
	return l.judge()
}

func (l *poolLane) now() time.Duration { return time.Since(l.start) }

// step does one operation on one ID.
func (l *poolLane) step() error {
	id := l.rng.IntN(6)
	c := l.last[id]
	op := l.rng.IntN(20)
	if c == nil || op < 4 {
		return l.register(id, c)
	}
	before := l.now()
	switch {
	case op < 10:
		did := c.session.Touch()
		if err := l.told("Touch", c, did); err != nil {
			return err
		}
		if did {
			c.alive(before)
		}
	case op < 12:
		return l.closed("Close", c, c.session.Close("bye"), "bye")
	case op < 14:
		return l.closed("CloseSession", c, l.pool.CloseSession(id, "kicked"), "kicked")
	case op < 16:
		release := c.session.Hold()
		err := l.told("Reason after Hold", c, c.session.Reason() == "")
		c.holds = append(c.holds, release)
		return err
	case op < 18 && len(c.holds) > 0:
		c.holds[0]()
		c.holds = c.holds[1:]
		if c.gone == "" { // and it was held, so this was activity
			c.alive(before)
		}
	case op < 19:
		return l.setIdle(c)
	default:
		return l.look(id, c)
	}
	return nil
}

// setIdle gives the session an idle timeout of its own, which counts from the last
// activity.
func (l *poolLane) setIdle(c *modelConn) error {
	c.idle = max(time.Millisecond, modelDuration(l.rng))
	c.session.SetIdleTimeout(l.r.given(c.idle))
	due := c.active + c.idle
	if c.session.Reason() == "" || l.now() < c.due {
		c.due = due // earlier or later, for it was open
	} else {
		c.due = min(c.due, due)
	}
	return nil
}

// look compares what the pool shows of the session.
func (l *poolLane) look(id int, c *modelConn) error {
	in := c.mayBeIn()
	found, ok := l.pool.Get(id)
	switch n := l.pool.Len(); {
	case ok && found != c.session:
		return broken(agreement, "Pool.Get finds another session than was registered last")
	case ok && !in:
		return broken(agreement, "Pool.Get finds a session that was closed: %q", c.gone)
	case !ok && l.mustBeOpen(c):
		return broken(agreement, "Pool.Get does not find a session that must be open")
	case n < 0 || l.max > 0 && n > l.max || n > len(l.last):
		return broken(agreement, "Pool.Len is %d; MaxSessions is %d, and there are %d IDs", n, l.max, len(l.last))
	}
	return nil
}

// mayBeIn tells whether the session may be in the pool: one that times out
// leaves it a moment later than methods report it closed.
func (c *modelConn) mayBeIn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone == "" || c.gone == pool.Timeout && c.told == 0
}

func (c *modelConn) alive(before time.Duration) {
	c.active = max(c.active, before)
	c.due = max(c.due, c.active+c.idle)
}

// mustBeOpen tells whether the model is sure of it.
func (l *poolLane) mustBeOpen(c *modelConn) bool {
	return c != nil && c.gone == "" && (l.now() < c.due || len(c.holds) > 0)
}

// told compares what an operation reports of whether the session was open.
func (l *poolLane) told(op string, c *modelConn, was bool) error {
	switch {
	case was && c.gone != "":
		return broken(agreement, "%s reports true for a session that was closed: %q", op, c.gone)
	case !was && l.mustBeOpen(c):
		return broken(agreement, "%s reports false for a session that must be open (for %v)", op, c.due-l.now())
	case !was && c.gone == "":
		c.gone = pool.Timeout
	}
	return nil
}

// closed is told for an operation that closes.
func (l *poolLane) closed(op string, c *modelConn, did bool, reason pool.Reason) error {
	err := l.told(op, c, did)
	if did {
		c.gone = reason
	}
	return err
}

// register tries to register a session under an ID that old may have.
func (l *poolLane) register(id int, old *modelConn) error {
	c := &modelConn{idle: l.idle}
	sure := 0 // of others that must be open, when the call has returned
	before, most := l.now(), l.mayBeIn()
	oldIn := old != nil && old.mayBeIn()
	s, err := l.pool.Register(id, c)
	for other, o := range l.last {
		if other != id && l.mustBeOpen(o) {
			sure++
		}
	}
	open := l.mustBeOpen(old)
	switch {
	case errors.Is(err, pool.ErrDuplicateID):
		if l.replace || !oldIn {
			return broken(agreement, "Register reports %v where there is none", err)
		}
		return nil
	case errors.Is(err, pool.ErrFull):
		if l.max == 0 || open || most < l.max {
			return broken(agreement, "Register reports %v; MaxSessions is %d, and at most %d are in the pool", err, l.max, most)
		}
		return nil
	case err != nil:
		return broken(agreement, "Register reports %v", err)
	case open && !l.replace:
		return broken(agreement, "Register has registered a second session under an ID")
	case l.max > 0 && sure >= l.max:
		return broken(agreement, "Register has registered one more than MaxSessions, which is %d", l.max)
	}
	if old != nil && old.gone == "" {
		old.gone = pool.Replaced // or it timed out just before
		if !open {
			old.gone = unsure
		}
	}
	c.session, c.active, c.due = s, before, before+c.idle
	l.last[id] = c
	l.all = append(l.all, c)
	return nil
}

// unsure stands for a session that was replaced or had timed out.
const unsure pool.Reason = "Replaced or Timeout"

// mayBeIn is how many sessions may be in the pool.
func (l *poolLane) mayBeIn() (n int) {
	for _, c := range l.last {
		if c.mayBeIn() {
			n++
		}
	}
	return n
}

// judge compares how each session ended with the model. Call it after Shutdown.
func (l *poolLane) judge() error {
	for _, c := range l.all {
		c.mu.Lock()
		closes, told, reason, at := c.closes, c.told, c.reason, c.at
		c.mu.Unlock()
		if closes != 1 || told != 1 {
			return broken(exactlyOnce, "a session's connection was closed %d times, and OnSessionClosed called %d times", closes, told)
		}
		agrees := reason == c.gone
		switch c.gone {
		case "":
			agrees = reason == pool.Shutdown || reason == pool.Timeout
		case unsure:
			agrees = reason == pool.Replaced || reason == pool.Timeout
		}
		if !agrees {
			return broken(agreement, "a session ended with %q where the model has %q", reason, c.gone)
		}
		if reason == pool.Timeout && at < c.due {
			return broken(neverEarly, "a session timed out %v before its idle timeout", c.due-at)
		}
	}
	return nil
}
