package wheel_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/RussellLuo/timingwheel"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// The claims below are ratios to the plain library, measured in one run by one
// goroutine that never waits for a lock and finds all it needs in the cache.
// That is where the library does best: what is left of either is mostly a
// reading of the clock. The benchmarks show the rest.
//
// Under the race detector each atomic operation is a call into it, and a ratio
// would be one of its costs: then only allocations are counted, which it does
// not change.

const costDelay = 5 * time.Minute

// startLibrary gives the library a setting that suits idle timeouts of minutes.
func startLibrary(t testing.TB) *timingwheel.TimingWheel {
	t.Helper()
	tw := timingwheel.NewTimingWheel(10*time.Millisecond, 64)
	tw.Start()
	t.Cleanup(tw.Stop)
	return tw
}

func TestExtend_AllocatesNothingAndCostsHalfTheLibrarysAtMost(t *testing.T) {
	const n = 1_000
	w := harness.NewWheel(t, wheel.Config{})
	timers := make([]*wheel.Timer, n)
	for i := range timers {
		timers[i] = w.AfterFunc(costDelay, func() {})
	}
	i := 0
	extend := func() {
		i++
		timers[i%n].Extend(costDelay)
	}
	require.Zero(t, testing.AllocsPerRun(10_000, extend))
	if harness.RaceDetector {
		return
	}
	library := startLibrary(t)
	theirs := make([]*timingwheel.Timer, n)
	for i := range theirs {
		theirs[i] = library.AfterFunc(costDelay, func() {})
	}
	require.LessOrEqual(t, harness.Ratio(t, extend, func() {
		i++
		theirs[i%n].Stop()
		theirs[i%n] = library.AfterFunc(costDelay, func() {})
	}), 0.5)
}

func TestArmStop_AllocatesNothingAndCostsLessThanTheLibrarys(t *testing.T) {
	const n = 200_000
	w := harness.NewWheel(t, wheel.Config{})
	for range n {
		w.AfterFunc(costDelay, func() {})
	}
	var timer wheel.Timer
	timer.Init(w, func() {})
	arm := func() {
		timer.Reset(costDelay)
		timer.Stop()
	}
	require.Zero(t, testing.AllocsPerRun(10_000, arm))
	if harness.RaceDetector {
		return
	}
	library := startLibrary(t)
	for range n {
		library.AfterFunc(costDelay, func() {})
	}
	require.LessOrEqual(t, harness.Ratio(t, arm, func() { library.AfterFunc(costDelay, func() {}).Stop() }), 0.8)
}

// armTimers arms timers of a wheel that expire together.
func armTimers(t testing.TB, n int, at time.Time, expired func()) (stop func()) {
	w := harness.NewWheel(t, wheel.Config{})
	timers := make([]wheel.Timer, n)
	for i := range timers {
		timers[i].Init(w, expired)
		timers[i].Reset(time.Until(at))
	}
	return w.Close
}

// armLibraryTimers arms timers of the plain library that expire together.
func armLibraryTimers(_ testing.TB, n int, at time.Time, expired func()) (stop func()) {
	tw := timingwheel.NewTimingWheel(10*time.Millisecond, 64)
	tw.Start()
	for range n {
		tw.AfterFunc(time.Until(at), expired)
	}
	return tw.Stop
}

func TestExpiry_OfManyTimersAtOnceIsLessLateThanTheLibrarys(t *testing.T) {
	if harness.RaceDetector {
		t.Skip("lateness under the race detector is its own; .ci/run runs this without it")
	}
	const n = 500_000
	// Rounds differ much, those of the library most. So all of them count, and no more rounds
	// are done than needed.
	var ours, theirs time.Duration
	for range 6 {
		ours += harness.ExpireAtOnce(t, n, armTimers).Late
		theirs += harness.ExpireAtOnce(t, n, armLibraryTimers).Late
		t.Logf("the last ones are %v late in all, the library's %v", ours, theirs)
		if ours <= theirs*3/4 {
			return
		}
	}
	t.Fatal("more than 0.75 times as late")
}

func TestExpiry_OfManyTimersAtOnceTakesFewGoroutinesAndNoneIsEarly(t *testing.T) {
	// MaxCallbacks, and as many that have given up their place but not ended yet.
	// More may linger on a busy machine, so the best of some rounds counts.
	const bound = 2 * 256
	n := 200_000
	if harness.RaceDetector {
		n = 20_000
	}
	peak := math.MaxInt
	for range 3 {
		e := harness.ExpireAtOnce(t, n, armTimers)
		require.Zero(t, e.Early)
		peak = min(peak, e.Goroutines)
		runtime.GC()
		if peak <= bound {
			break
		}
	}
	t.Logf("%d goroutines", peak)
	require.LessOrEqual(t, peak, bound)
}
