package harness

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Ratio measures two rivals in turn and compares the best round of each, since
// disturbances only make a round longer. A round is short, so that many go
// undisturbed on a machine that is busy with other things.
func Ratio(t *testing.T, ours, theirs func()) float64 {
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

// Expiry is what came of n timers or sessions that expired at one instant.
type Expiry struct {
	Late       time.Duration // of the last one
	Early      int
	Goroutines int // the most that there were, beside those that ran before
}

// Arm arms n timers, or registers n sessions, that all expire at one instant,
// each of which then calls expired once.
type Arm func(t testing.TB, n int, at time.Time, expired func()) (stop func())

// ExpireAtOnce arms n and waits until all have expired. It leaves enough time to
// arm them before they come due, and more when that was not enough.
func ExpireAtOnce(t testing.TB, n int, arm Arm) Expiry {
	for lead := 200*time.Millisecond + time.Duration(n)*4*time.Microsecond; ; lead *= 2 {
		if e, ok := expireIn(t, n, arm, lead); ok {
			return e
		}
		require.Less(t, lead, time.Minute, "arming takes too long")
	}
}

// expireIn reports false if it was still arming when the first came due.
func expireIn(t testing.TB, n int, arm Arm, lead time.Duration) (e Expiry, ok bool) {
	before := runtime.NumGoroutine()
	at := time.Now().Add(lead)
	var (
		count, early, peak atomic.Int64
		late               time.Duration
		all                = make(chan struct{})
	)
	sample := func() {
		g := int64(runtime.NumGoroutine())
		for old := peak.Load(); g > old && !peak.CompareAndSwap(old, g); old = peak.Load() {
		}
	}
	stop := arm(t, n, at, func() {
		now := time.Since(at)
		if now < 0 {
			early.Add(1)
		}
		c := count.Add(1)
		if c%64 == 0 {
			sample()
		}
		if c == int64(n) {
			late = now
			close(all)
		}
	})
	defer stop()
	ok = time.Until(at) > 0
	for {
		select {
		case <-all:
			return Expiry{late, int(early.Load()), int(peak.Load()) - before}, ok
		case <-time.After(time.Millisecond):
			sample()
			require.Less(t, time.Since(at), 5*time.Minute, "%d of %d have expired", count.Load(), n)
		}
	}
}
