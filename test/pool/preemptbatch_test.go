//go:build preempt

package pool_test

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
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

// batchSchedules is how many schedules of a batch are run.
const batchSchedules = 1_000

// batchSchedule is sessions that time out together, in chunks. Where the code comes
// to a point of preemption, a seeded draw lets time pass, or has any of the sessions
// touched there.
type batchSchedule struct {
	rng      *rand.Rand
	idle     time.Duration
	start    time.Time
	sessions []*testSession

	mu sync.Mutex
	// Guarded by mu.
	begun  []time.Duration // of each session: when the last Touch that reported true began
	ended  []time.Duration // when its connection was closed; negative: it was not
	reason []pool.Reason   // what OnSessionClosed got
	twice  bool
	depth  int // how many points are making a call
}

func (c *batchSchedule) draw(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(n)
}

func (c *batchSchedule) elapsed() time.Duration { return time.Since(c.start) }

func (c *batchSchedule) touch(id int) {
	began := c.elapsed()
	ok := c.sessions[id].Touch()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok {
		c.begun[id] = max(c.begun[id], began)
	}
}

// at is what happens at a point. The first word of its name tells whether a lock is
// held there: then no time may pass.
func (c *batchSchedule) at(point string) {
	c.mu.Lock()
	nested := c.depth > 0
	c.mu.Unlock()
	if nested || c.draw(4) != 0 {
		return
	}
	switch word, _, _ := strings.Cut(point, ":"); word {
	case "expire", "close", "due", "pinned":
		c.nest(1)
		c.touch(c.draw(len(c.sessions)))
		c.nest(-1)
	default:
		time.Sleep(time.Duration(c.draw(3)) * c.idle / 4)
	}
}

func (c *batchSchedule) nest(by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.depth += by
}

func (c *batchSchedule) connClosed(id int) {
	at := c.elapsed()
	c.mu.Lock()
	c.twice = c.twice || c.ended[id] >= 0
	c.ended[id] = at
	c.mu.Unlock()
	if c.draw(8) == 0 {
		time.Sleep(time.Duration(c.draw(20)) * c.idle)
	}
}

func (c *batchSchedule) told(s *testSession, r pool.Reason) {
	c.mu.Lock()
	c.twice = c.twice || c.reason[s.ID()] != ""
	c.reason[s.ID()] = r
	c.mu.Unlock()
	switch c.draw(8) {
	case 0:
		runtime.Goexit()
	case 1:
		panic("in OnSessionClosed")
	}
}

func runBatchSchedule(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		const n = 24
		c := &batchSchedule{
			rng: rand.New(rand.NewPCG(seed, 1)), idle: time.Second, start: time.Now(),
			begun: make([]time.Duration, n), ended: make([]time.Duration, n), reason: make([]pool.Reason, n),
		}
		p, err := pool.New(testConfig{IdleTimeout: c.idle, OnSessionClosed: c.told, OnPanic: func(any, []byte) {}})
		require.NoError(t, err)
		for id := range n {
			s, err := p.Register(id, &testConn{onClose: func() { c.connClosed(id) }})
			require.NoError(t, err)
			c.sessions = append(c.sessions, s)
			c.ended[id] = -1
		}
		preempt.Set(c.at)
		defer preempt.Set(nil)
		kicked := make(map[int]bool)
		for range 8 {
			time.Sleep(time.Duration(c.draw(8)) * c.idle / 4)
			id := c.draw(n)
			if c.draw(3) != 0 {
				c.touch(id)
				continue
			}
			go func() { // as OnSessionClosed may end the goroutine
				if c.sessions[id].Close("Kicked") {
					c.mu.Lock()
					kicked[id] = true
					c.mu.Unlock()
				}
			}()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		preempt.Set(nil)
		require.Zero(t, p.Len(), "seed %d", seed)
		require.NoError(t, p.Shutdown(context.Background()))
		c.mu.Lock()
		defer c.mu.Unlock()
		require.False(t, c.twice, "seed %d: a session ended twice", seed)
		for id, s := range c.sessions {
			require.True(t, hasEnded(s), "seed %d: session %d", seed, id)
			require.GreaterOrEqual(t, c.ended[id], time.Duration(0), "seed %d: session %d", seed, id)
			require.Equal(t, s.Reason(), c.reason[id], "seed %d: session %d", seed, id)
			if c.reason[id] == pool.Timeout {
				require.False(t, kicked[id])
				require.GreaterOrEqual(t, c.ended[id], c.begun[id]+c.idle,
					"seed %d: session %d was touched at %v", seed, id, c.begun[id])
			}
		}
	})
}

// TestPreempt_SessionsThatTimeOutTogetherEndOnceEach runs seeded schedules.
// SESSIONWHEEL_SEED runs one alone.
func TestPreempt_SessionsThatTimeOutTogetherEndOnceEach(t *testing.T) {
	if text := os.Getenv("SESSIONWHEEL_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		runBatchSchedule(t, seed)
		return
	}
	for seed := range uint64(batchSchedules) {
		runBatchSchedule(t, seed+1)
		if t.Failed() {
			return
		}
	}
}
