package pool_test

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// starvations keep the only processor busy until stop is set.
var starvations = []struct {
	role string
	env  []string
	work func(stop *atomic.Bool)
}{
	// A goroutine that never yields is preempted by the runtime every 10ms.
	{"busy", []string{"GOMAXPROCS=1"}, func(stop *atomic.Bool) {
		for !stop.Load() {
		}
	}},
	// Collections follow one another, since live memory nearly fills the limit.
	{"memory", []string{"GOMAXPROCS=1", "GOMEMLIMIT=40MiB"}, func(stop *atomic.Bool) {
		type node struct {
			_    *node // so that a collection scans it
			data [56]byte
		}
		nodes := make([]*node, 80_000) // about 6MiB in each of four goroutines
		for i := 0; !stop.Load(); i++ {
			nodes[i%len(nodes)] = &node{data: [56]byte{byte(i)}}
		}
	}},
}

// Each runs in a process of its own, on one processor. The two run side by side, and
// with no other test.
func TestStarvation_LosesNothingAndLatenessFollowsTheScheduler(t *testing.T) {
	for _, s := range starvations {
		t.Run(s.role, func(t *testing.T) {
			if os.Getenv(harness.HelperEnv) != "" {
				starve(t, s.work)
				return
			}
			t.Parallel()
			cmd := harness.Helper(t, s.role)
			cmd.Args = append(cmd.Args, "-test.v")
			cmd.Env = append(cmd.Env, s.env...)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "the latest", "%s", out)
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "the latest") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}

// starvedClock records how late something was, and whether it was early.
type starvedClock struct {
	mu     sync.Mutex
	done   int
	early  int
	latest time.Duration
}

func (c *starvedClock) note(late time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
	c.latest = max(c.latest, late)
	if late < 0 {
		c.early++
	}
}

func (c *starvedClock) get() (done, early int, latest time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done, c.early, c.latest
}

// starve runs timers and sessions beside the work, and with each timer one of the
// runtime's, which shows the scheduler's delay.
func starve(t *testing.T, work func(stop *atomic.Bool)) {
	const timers, sessions, idle = 2000, 1000, time.Second
	var load sync.WaitGroup
	var stop atomic.Bool
	defer load.Wait()
	defer stop.Store(true)
	for range 4 {
		load.Go(func() { work(&stop) })
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)

	var fired, probes, closed starvedClock
	w := harness.NewWheel(t, wheel.Config{})
	due := make([]atomic.Int64, sessions) // at the earliest, in time since the start
	start := time.Now()
	p := newPool(t, testConfig{Wheel: w, IdleTimeout: idle, OnSessionClosed: func(s *testSession, _ pool.Reason) {
		closed.note(time.Since(start) - time.Duration(due[s.ID()].Load()))
	}})
	for id := range sessions {
		due[id].Store(int64(time.Since(start) + idle))
		mustRegister(t, p, id)
	}
	for i := range timers {
		d := 10*time.Millisecond + rand.N(2*time.Second)
		armed := time.Now()
		w.AfterFunc(d, func() { fired.note(time.Since(armed) - d) })
		time.AfterFunc(d, func() { probes.note(time.Since(armed) - d) })
		if i%100 == 0 { // some sessions are active
			for id := 0; id < sessions; id += 3 {
				now := time.Since(start)
				if s, ok := p.Get(id); ok && s.Touch() {
					due[id].Store(int64(now + idle))
				}
			}
		}
	}
	require.Eventually(t, func() bool {
		n, _, _ := probes.get()
		return n == timers
	}, harness.Patience, 10*time.Millisecond)
	all := func() bool {
		n, _, _ := fired.get()
		m, _, _ := closed.get()
		return n == timers && m == sessions
	}
	require.Eventually(t, all, harness.Patience, 10*time.Millisecond, "a timer or a session was lost")
	runtime.ReadMemStats(&after)

	_, _, own := probes.get()
	_, early, latestTimer := fired.get()
	require.Zero(t, early)
	_, early, latestSession := closed.get()
	require.Zero(t, early)
	t.Logf("the latest timer was %v late, the latest session %v, the runtime's latest timer %v; %d collections; %+v",
		latestTimer, latestSession, own, after.NumGC-before.NumGC, w.Stats())
	require.Greater(t, own, harness.Tick, "the processor was free: nothing was shown")
	if os.Getenv("GOMEMLIMIT") != "" {
		require.Greater(t, after.NumGC-before.NumGC, uint32(0), "nothing was collected: nothing was shown")
	}
	// What is due passes through several goroutines, each of which may wait as long
	// as the runtime's timer does, or until the watchdog wakes it. For a session the
	// delay is a freeze, after which it has a moment more.
	const watchdog, grace = 250 * time.Millisecond, 250 * time.Millisecond
	require.Less(t, latestTimer, 8*own+watchdog)
	require.Less(t, latestSession, 8*own+watchdog+grace)
}
