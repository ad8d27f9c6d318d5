package sessionwheel_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The claims below are ratios to the plain library, measured here and now by
// one goroutine that meets nobody at a lock and finds all it needs in the cache.
// That is where the library does best: what is left of either is mostly a
// reading of the clock. The benchmarks show the rest.
//
// Under the race detector each atomic operation is a call into it, and a ratio
// would be one of its costs: then only allocations are counted, which it does
// not change.

// ratio measures two rivals in turn and compares the best round of each: what
// disturbs a round only makes it longer. A round is so short that many go
// undisturbed on a machine that does other things meanwhile.
func ratio(t *testing.T, ours, theirs func()) float64 {
	const rounds, calls = 300, 2_000
	best := [2]time.Duration{time.Hour, time.Hour}
	for range rounds {
		for i, call := range []func(){ours, theirs} {
			start := time.Now()
			for range calls {
				call()
			}
			best[i] = min(best[i], time.Since(start))
		}
	}
	r := float64(best[0]) / float64(best[1])
	t.Logf("%v against %v: %.2f", best[0]/calls, best[1]/calls, r)
	return r
}

// named returns the contender of that name, holding n, until the test ends.
func named(t *testing.T, among []contender, name string, n int) rival {
	for _, c := range among {
		if c.name == name {
			r := c.make(t, n)
			t.Cleanup(r.stop)
			return r
		}
	}
	t.Fatalf("no contender is called %s", name)
	return rival{}
}

func TestATouchAllocatesNothingAndCostsHalfTheLibrarysAtMost(t *testing.T) {
	const n = 1_000
	library := named(t, touches, "timingwheel", n)
	for _, name := range []string{"sessionwheel", "wheel"} {
		ours := named(t, touches, name, n)
		i := 0
		touch := func(r rival) func() {
			return func() {
				i++
				r.work(i % n)
			}
		}
		require.Zero(t, testing.AllocsPerRun(10_000, touch(ours)), name)
		if !raceDetector {
			require.LessOrEqual(t, ratio(t, touch(ours), touch(library)), 0.5, name)
		}
	}
}

func TestArmingAndStoppingAllocatesNothingAndCostsLessThanTheLibrarys(t *testing.T) {
	const n = 200_000
	ours := named(t, armings, "wheel", n)
	arm := func(r rival) func() { return func() { r.work(0) } }
	require.Zero(t, testing.AllocsPerRun(10_000, arm(ours)))
	if !raceDetector {
		require.LessOrEqual(t, ratio(t, arm(ours), arm(named(t, armings, "timingwheel", n))), 0.8)
	}
}

func TestOfManyThatExpireAtOnceTheLastIsLessLateThanTheLibrarysLast(t *testing.T) {
	if raceDetector {
		t.Skip("lateness under the race detector is its own")
	}
	const n = 200_000
	// Disturbances only make a round later, so the best of some is compared, of
	// no more than it takes.
	ours, theirs := time.Hour, time.Hour
	for range 4 {
		ours = min(ours, expireAtOnce(t, expiringTimers[0], n).late)
		theirs = min(theirs, expireAtOnce(t, expiringTimers[1], n).late)
		t.Logf("the last is %v late, the library's %v", ours, theirs)
		if ours <= theirs*6/10 {
			return
		}
	}
	t.Fatal("more than 0.6 times as late")
}

func TestManyThatExpireAtOnceTakeABoundedNumberOfGoroutinesAndNoneIsEarly(t *testing.T) {
	// MaxCallbacks, and as many that have given up their place and not ended yet.
	// On a machine that is busy elsewhere more may linger: the best of some rounds
	// counts.
	const bound = 2 * 256
	n := 200_000
	if raceDetector {
		n = 20_000
	}
	for _, x := range []expiring{expiringTimers[0], expiringSessions[0]} {
		peak := math.MaxInt
		for range 3 {
			e := expireAtOnce(t, x, n)
			require.Zero(t, e.early, x.name)
			peak = min(peak, e.goroutines)
			runtime.GC()
			if peak <= bound {
				break
			}
		}
		t.Logf("%s: %d goroutines", x.name, peak)
		require.LessOrEqual(t, peak, bound, x.name)
	}
}
