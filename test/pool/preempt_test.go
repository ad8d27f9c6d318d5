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
	begun   map[time.Duration]bool // when each Touch that reported true began
	refused bool                   // a Touch reported false
	depth   int                    // calls that points have made
	start   time.Time
}

type nothingToClose struct{}

func (nothingToClose) Close() error { return nil }

func (c *schedule) draw(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(n)
}

// touch touches the session and notes what that must mean.
func (c *schedule) touch() {
	began := time.Since(c.start)
	ok := c.s.Touch()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok {
		c.begun[began] = true
	} else {
		c.refused = true
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
			rng: rand.New(rand.NewPCG(seed, 0)), idle: time.Second,
			begun: make(map[time.Duration]bool), start: time.Now(),
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
					switch c.draw(4) {
					case 0:
						s.Pin()
						time.Sleep(time.Duration(c.draw(5)) * c.idle / 4)
						s.Unpin()
					default:
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
		require.Equal(t, pool.Timeout, s.Reason())
		for began := range c.begun {
			if ended < began+c.idle {
				t.Errorf("seed %d: a Touch that began at %v reported true; the session ended at %v", seed, began, ended)
			}
		}
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
