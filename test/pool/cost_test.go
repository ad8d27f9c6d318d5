package pool_test

import (
	"context"
	"io"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/RussellLuo/timingwheel"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

const costIdle = 5 * time.Minute

// closerFunc is a connection that only has something to do when it is closed.
type closerFunc func()

func (f closerFunc) Close() error {
	f()
	return nil
}

// The claim is a ratio to the plain library, whose timer is stopped and made
// again for each activity. Under the race detector a ratio would be one of the
// detector's costs, so only allocations are counted.
func TestTouch_AllocatesNothingAndCostsHalfTheLibrarysAtMost(t *testing.T) {
	const n = 1_000
	p := newPool(t, testConfig{IdleTimeout: costIdle})
	sessions := make([]*testSession, n)
	for i := range sessions {
		sessions[i] = mustRegister(t, p, i)
	}
	i := 0
	touch := func() {
		i++
		sessions[i%n].Touch()
	}
	require.Zero(t, testing.AllocsPerRun(10_000, touch))
	if harness.RaceDetector {
		return
	}
	library := timingwheel.NewTimingWheel(10*time.Millisecond, 64)
	library.Start()
	defer library.Stop()
	theirs := make([]*timingwheel.Timer, n)
	for i := range theirs {
		theirs[i] = library.AfterFunc(costIdle, func() {})
	}
	require.LessOrEqual(t, harness.Ratio(t, touch, func() {
		i++
		theirs[i%n].Stop()
		theirs[i%n] = library.AfterFunc(costIdle, func() {})
	}), 0.5)
}

// registerExpiring registers sessions that all time out at one instant.
func registerExpiring(t testing.TB, n int, at time.Time, expired func()) (stop func()) {
	p, err := pool.New(pool.Config[int64, io.Closer]{IdleTimeout: costIdle})
	require.NoError(t, err)
	conn := closerFunc(expired)
	for i := range n {
		s, err := p.Register(int64(i), conn)
		require.NoError(t, err)
		s.SetIdleTimeout(max(at.Sub(s.RegisteredAt()), 1)) // 0 is the default, negative never
	}
	return func() { require.NoError(t, p.Shutdown(context.Background())) }
}

func TestExpiry_OfManySessionsAtOnceTakesFewGoroutinesAndNoneIsEarly(t *testing.T) {
	// MaxCallbacks, and as many that have given up their place but not ended yet.
	// More may linger on a busy machine, so the best of some rounds counts.
	const bound = 2 * 256
	n := 200_000
	if harness.RaceDetector {
		n = 20_000
	}
	peak := math.MaxInt
	for range 3 {
		e := harness.ExpireAtOnce(t, n, registerExpiring)
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
