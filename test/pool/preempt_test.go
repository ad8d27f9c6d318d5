//go:build preempt

package pool_test

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/pool"
)

// schedules is how many schedules are run, of the seeds from 1 on.
const schedules = 10_000

// schedule is one session whose peers, pins and timeout meet at the worst points:
// where the code comes to one, a seeded draw lets time pass or has another
// goroutine's call run there.
type schedule struct {
	rng  *rand.Rand
	idle time.Duration
	s    *pool.Session[int, io.Closer]

	mu sync.Mutex
	// Guarded by mu.
	begun []time.Duration // when each Touch that reported true began
	holds []*hold
	depth int // calls that points have made
	start time.Time
}

// hold is a pin that was there when a Touch reported true: the session was open
// and pinned then.
type hold struct {
	touched, unpinned time.Duration
	strict            bool // unpinned by UnpinAndExpire, which gives no more time
}

type nothingToClose struct{}

func (nothingToClose) Close() error { return nil }

func (c *schedule) draw(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(n)
}

// touch touches the session and notes what that must mean.
func (c *schedule) touch() bool {
	began := time.Since(c.start)
	ok := c.s.Touch()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok {
		c.begun = append(c.begun, began)
	}
	return ok
}

// hold pins the session for a while, which may be longer than its idle timeout.
func (c *schedule) hold() {
	c.s.Pin()
	h := &hold{touched: time.Since(c.start), strict: c.draw(3) == 0}
	if !c.touch() {
		c.s.Unpin()
		return
	}
	time.Sleep(time.Duration(c.draw(9)) * c.idle / 4)
	h.unpinned = time.Since(c.start)
	c.mu.Lock()
	c.holds = append(c.holds, h)
	c.mu.Unlock()
	if h.strict {
		c.s.UnpinAndExpire()
	} else {
		c.s.Unpin()
	}
}

// judge compares when the session ended to what was promised.
func (c *schedule) judge(t *testing.T, seed uint64, ended time.Duration) {
	for _, began := range c.begun {
		if ended < began+c.idle {
			t.Errorf("seed %d: a Touch that began at %v reported true; the session ended at %v", seed, began, ended)
		}
	}
	for _, h := range c.holds {
		if ended < h.unpinned {
			t.Errorf("seed %d: the session was touched at %v and pinned until %v; it ended at %v", seed, h.touched, h.unpinned, ended)
		}
		last := time.Duration(0) // the latest time that anything touched it before
		for _, began := range c.begun {
			if began <= h.unpinned {
				last = max(last, began)
			}
		}
		for _, other := range c.holds {
			if other != h && other.unpinned <= h.unpinned {
				last = max(last, other.unpinned)
			}
		}
		if !h.strict && h.unpinned-last >= c.idle && ended < h.unpinned+c.idle {
			t.Errorf("seed %d: a pin that outlasted the idle timeout ended at %v; the session ended at %v", seed, h.unpinned, ended)
		}
	}
}

// at is what happens at a point. Under the pool's lock no time may pass, since
// those who wait for the lock keep a bubble's time from going on: there another
// call runs to its end.
func (c *schedule) at(point string) {
	c.mu.Lock()
	nested := c.depth > 0
	c.mu.Unlock()
	if nested || c.draw(4) != 0 {
		return
	}
	locked := strings.HasPrefix(point, "expire") || strings.HasPrefix(point, "close") ||
		strings.HasPrefix(point, "due") || strings.HasPrefix(point, "pinned")
	if !locked {
		time.Sleep(time.Duration(c.draw(3)) * c.idle / 2)
		return
	}
	c.nest(1)
	c.touch()
	c.nest(-1)
}

func (c *schedule) nest(by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.depth += by
}

func runSchedule(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		c := &schedule{
			rng: rand.New(rand.NewPCG(seed, 0)), idle: time.Second, start: time.Now(),
		}
		var ended time.Duration
		conf := pool.Config[int, io.Closer]{
			IdleTimeout:     c.idle,
			OnSessionClosed: func(_ *pool.Session[int, io.Closer], r pool.Reason) { ended = time.Since(c.start) },
		}
		if seed%3 == 0 {
			warnings := 0
			conf.OnIdle = func(*pool.Session[int, io.Closer]) {
				if warnings++; warnings < 4 {
					c.touch()
				}
			}
			conf.IdleWarning = c.idle / 4
		}
		p, err := pool.New(conf)
		require.NoError(t, err)
		s, err := p.Register(1, nothingToClose{})
		require.NoError(t, err)
		c.s = s
		defer func() { require.NoError(t, p.Shutdown(context.Background())) }()
		preempt.Set(c.at)
		defer preempt.Set(nil)

		var callers sync.WaitGroup
		for range 2 {
			callers.Go(func() {
				for range 4 {
					time.Sleep(time.Duration(c.draw(8)) * c.idle / 4)
					if c.draw(3) == 0 {
						c.hold()
					} else {
						c.touch()
					}
				}
			})
		}
		callers.Wait()
		preempt.Set(nil)
		select {
		case <-s.Done():
		case <-time.After(time.Minute):
			t.Errorf("seed %d: the session never ended", seed)
		}
		time.Sleep(time.Minute) // for goroutines of the wheel that a point keeps
		require.Equal(t, pool.Timeout, s.Reason())
		c.judge(t, seed, ended)
		_, found := p.Get(1)
		require.False(t, found)
		_, err = p.Register(1, nothingToClose{})
		require.NoError(t, err)
	})
}

// TestPreempt_NoTouchThatReportedTrueIsForgotten runs seeded schedules in which
// goroutines are preempted between two atomic operations. SESSIONWHEEL_SEED runs
// one alone.
func TestPreempt_NoTouchThatReportedTrueIsForgotten(t *testing.T) {
	if text := os.Getenv("SESSIONWHEEL_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		runSchedule(t, seed)
		return
	}
	for seed := range uint64(schedules) {
		runSchedule(t, seed+1)
		if t.Failed() {
			return
		}
	}
}

// A goroutine that is to call OnIdle is preempted for longer than the session has left.
func TestPreempt_NoSessionTimesOutBeforeItsOnIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle, warning = time.Minute, 10 * time.Second
		var told, ended time.Duration
		start := time.Now()
		p, err := pool.New(pool.Config[int, io.Closer]{
			IdleTimeout: idle, IdleWarning: warning,
			OnIdle:          func(*pool.Session[int, io.Closer]) { told = time.Since(start) },
			OnSessionClosed: func(*pool.Session[int, io.Closer], pool.Reason) { ended = time.Since(start) },
		})
		require.NoError(t, err)
		defer func() { require.NoError(t, p.Shutdown(context.Background())) }()
		s, err := p.Register(1, nothingToClose{})
		require.NoError(t, err)
		preempt.Set(func(point string) {
			if point == "chunk: it is settled" {
				preempt.Set(nil)
				time.Sleep(3 * warning)
			}
		})
		defer preempt.Set(nil)
		<-s.Done()
		require.GreaterOrEqual(t, told, idle+2*warning)
		require.GreaterOrEqual(t, ended, told+warning)
	})
}
