package test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// traffic makes logins on all sites, which contend for a few IDs, until it is stopped.
type traffic struct {
	t    *testing.T
	stop func() // stops and waits

	mu sync.Mutex
	// Guarded by mu.
	won     int
	last    time.Time     // of the last successful login
	longest time.Duration // between two successful logins
}

func newTraffic(t *testing.T, sites ...*site) *traffic {
	f := &traffic{t: t, last: time.Now()}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	f.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
	t.Cleanup(f.stop)
	for g := range 4 {
		rnd := rand.New(rand.NewPCG(3, uint64(g)))
		wg.Go(func() {
			for ctx.Err() == nil {
				f.login(ctx, sites[rnd.IntN(len(sites))], fmt.Sprint("u", rnd.IntN(20)))
			}
		})
	}
	return f
}

func (f *traffic) login(ctx context.Context, s *site, id string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := s.login(ctx, id)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		f.won++
		f.longest, f.last = max(f.longest, time.Since(f.last)), time.Now()
	case !mayFail(err):
		f.t.Error(err)
	}
}

// mayFail reports whether a login may fail with an error while others log in under the same
// ID and something is broken.
func mayFail(err error) bool {
	for _, target := range []error{cluster.ErrUnavailable, cluster.ErrTakeoverTimeout, cluster.ErrIsolated, cluster.ErrSuperseded} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func (f *traffic) wins() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.won
}

// goesOn waits for logins. It returns the longest time between two of them since the last
// call.
func (f *traffic) goesOn() time.Duration {
	f.t.Helper()
	from := f.wins()
	eventually(f.t, "logins go on", func() bool { return f.wins() > from+50 })
	f.mu.Lock()
	defer f.mu.Unlock()
	longest := f.longest
	f.longest = 0
	return longest
}

// Each broker is a process of its own. One and then two of them are killed, among them the
// leader, and then they are shut down and restarted one by one.
func TestReplicas_SurviveCrashesWhileSessionsComeAndGo(t *testing.T) {
	t.Parallel()
	p, o := newProcesses(t), newObserver()
	// An outage must be shorter than a lease, also on a slow machine.
	c := cluster.Config{URL: p.url(), Replicas: 3, LeaseTTL: patience, OnLeaseLost: cluster.Fence}
	sites := []*site{join(t, o, "n0", c), join(t, o, "n1", c), join(t, o, "n2", c)}
	sites[0].mustLogin("rests")
	f := newTraffic(t, sites...)
	f.goesOn()

	killed := p.leader()
	p.child[killed].kill()
	t.Logf("the leader is killed: the longest time without a login is %v", f.goesOn())
	p.start(killed)
	f.goesOn()
	other := (p.leader() + 1) % 3
	p.child[other].kill()
	t.Logf("another is killed: %v", f.goesOn())
	p.start(other)
	f.goesOn()

	for i := range p.child {
		p.child[i].stop()
		p.start(i)
		t.Logf("%d of 3 is restarted: %v", i+1, f.goesOn())
	}

	killed = p.leader()
	other = (killed + 1) % 3
	p.child[killed].kill()
	p.child[other].kill()
	start := time.Now()
	for { // logins in progress when they were killed may still succeed
		if err := sites[1].login(within(t, 2*time.Second), "without a quorum"); err != nil {
			break
		}
		require.Less(t, time.Since(start), patience, "logins go on without a quorum")
	}
	p.start(killed)
	p.start(other)
	f.goesOn()
	t.Logf("two are killed and back: %v from the kill", time.Since(start))
	f.stop()

	require.Zero(t, o.doubled())
	require.True(t, sites[0].has("rests"), "no lease was lost: an outage is shorter")
	agree(t, sites[0], sites)
	require.Zero(t, o.doubled())
}
