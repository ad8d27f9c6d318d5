//go:build preempt

package wheel_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/wheel"
)

const (
	// schedules is how many schedules are run, of the seeds from 1 on.
	schedules = 10_000

	// preemptUnit is what the delays of a schedule are multiples of.
	preemptUnit = 100 * time.Millisecond
)

// schedule is one timer that is armed, extended and stopped while it fires. Where
// the code comes to a point of preemption, a seeded draw lets time pass or extends
// the timer there.
type schedule struct {
	rng   *rand.Rand
	timer *wheel.Timer
	start time.Time

	mu sync.Mutex
	// Guarded by mu.
	armings  []*arming
	changes  int  // how often Reset and Stop were called
	changing bool // one of them is under way
	depth    int  // how many points are making a call
	fired    []time.Duration
	double   bool // an arming ended twice
}

// arming is one call of Reset.
type arming struct {
	floor time.Duration // it must not fire before
	over  bool          // Reset or Stop reported that they ended it
}

func (c *schedule) draw(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(n)
}

// change makes a call that may end the arming there is, notes whether it did, and
// adds the arming that the call began, if it did so.
func (c *schedule) change(call func() bool, begun *arming) {
	c.mu.Lock()
	c.changes++
	c.changing = true
	c.mu.Unlock()
	ended := call()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changing = false
	if ended {
		last := c.armings[len(c.armings)-1]
		c.double = c.double || last.over
		last.over = true
	}
	if begun != nil {
		c.armings = append(c.armings, begun)
	}
}

func (c *schedule) reset() {
	d := time.Duration(c.draw(5)) * preemptUnit
	began := time.Since(c.start)
	c.change(func() bool { return c.timer.Reset(d) }, &arming{floor: began + d})
}

// extend extends the timer. What it promises is noted unless a call of Reset or
// Stop overlapped, so that it is known which arming it was for.
func (c *schedule) extend(d time.Duration) {
	began := time.Since(c.start)
	c.mu.Lock()
	changes, overlapped := c.changes, c.changing
	c.mu.Unlock()
	ok := c.timer.Extend(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok && !overlapped && c.changes == changes {
		last := c.armings[len(c.armings)-1]
		last.floor = max(last.floor, began+d)
	}
}

// at is what happens at a point. Under a lock of the wheel's no time may pass,
// since those who wait for the lock keep a bubble's time from going on, and only
// Extend can be called, which takes none.
func (c *schedule) at(point string) {
	c.mu.Lock()
	nested := c.depth > 0
	c.mu.Unlock()
	if nested || c.draw(2) != 0 {
		return
	}
	if !strings.HasPrefix(point, "expire") {
		time.Sleep(time.Duration(c.draw(5)) * preemptUnit / 2)
		return
	}
	c.nest(1)
	c.extend(time.Duration(1+c.draw(4)) * preemptUnit)
	c.nest(-1)
}

func (c *schedule) nest(by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.depth += by
}

// judge compares what has fired to what was promised.
func (c *schedule) judge(t *testing.T, seed uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.double {
		t.Errorf("seed %d: Reset or Stop ended an arming that had been ended", seed)
	}
	var floors []time.Duration
	for _, a := range c.armings {
		if !a.over {
			floors = append(floors, a.floor)
		}
	}
	if len(floors) != len(c.fired) {
		t.Errorf("seed %d: %d callbacks for %d armings that were not ended", seed, len(c.fired), len(floors))
		return
	}
	slices.Sort(floors)
	slices.Sort(c.fired)
	for i, at := range c.fired {
		if at < floors[i] {
			t.Errorf("seed %d: callbacks at %v; the armings were due at %v", seed, c.fired, floors)
			return
		}
	}
}

func runSchedule(t *testing.T, seed uint64) {
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		c := &schedule{rng: rand.New(rand.NewPCG(seed, 0)), timer: new(wheel.Timer), start: time.Now()}
		c.timer.Init(w, func() {
			at := time.Since(c.start)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.fired = append(c.fired, at)
		})
		preempt.Set(c.at)
		defer preempt.Set(nil)
		c.reset()
		var callers sync.WaitGroup
		callers.Go(func() {
			for range 8 {
				time.Sleep(time.Duration(c.draw(9)) * preemptUnit / 2)
				if c.draw(3) == 0 {
					c.change(c.timer.Stop, nil)
				} else {
					c.reset()
				}
			}
		})
		callers.Go(func() {
			for range 12 {
				time.Sleep(time.Duration(c.draw(7)) * preemptUnit / 2)
				c.extend(time.Duration(1+c.draw(4)) * preemptUnit)
			}
		})
		callers.Wait()
		preempt.Set(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Zero(t, w.Len())
		c.judge(t, seed)
	})
}

// TestPreempt_EachArmingEndsOnceAndNotBeforeItsExtension runs seeded schedules in
// which goroutines are preempted between two atomic operations. SESSIONWHEEL_SEED
// runs one alone.
func TestPreempt_EachArmingEndsOnceAndNotBeforeItsExtension(t *testing.T) {
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
