package wheel_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// countsOf returns a wheel's Stats without the lateness.
func countsOf(w *wheel.Wheel) wheel.Stats {
	st := w.Stats()
	st.Late = wheel.Lateness{}
	return st
}

func TestLateness_IsThatOfEachCallback(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 1}, func(t *testing.T, w *wheel.Wheel) {
		var mu sync.Mutex
		var want wheel.Lateness
		arm := func(d time.Duration, takes time.Duration) {
			due := w.Elapsed() + max(0, d)
			w.AfterFunc(d, func() {
				mu.Lock()
				late := w.Elapsed() - due
				want.Sum += late
				want.Counts[latenessBucket(late)]++
				mu.Unlock()
				time.Sleep(takes)
			})
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for range 1000 {
			arm(time.Duration(rng.Int64N(int64(time.Minute))), 0)
		}
		arm(-time.Hour, 0) // was due when it was armed, and counts from then
		sleep(2 * time.Minute)
		require.Equal(t, want, w.Stats().Late)
		require.Zero(t, want.Counts[latenessBucket(time.Second)], "a test that armed nothing late would show little")

		arm(time.Second/2, 3*time.Second/2)
		arm(time.Second, 0) // a second late, which is a bound
		sleep(time.Minute)
		require.EqualValues(t, 1, want.Counts[latenessBucket(time.Second)])

		before := w.Stats().Late
		arm(time.Second/2, 90*time.Second)
		for range 10 {
			arm(time.Second, time.Second) // each waits for the place of the one before
		}
		sleep(time.Hour)
		late := w.Stats().Late
		require.Equal(t, want, late)
		since := late.Sub(before)
		require.EqualValues(t, 11, since.Count())
		require.EqualValues(t, 10, since.Counts[wheel.LatenessBuckets], "beyond all bounds")
		require.Equal(t, 10*(89*time.Second+time.Second/2)+45*time.Second, since.Sum)
		require.EqualValues(t, late.Count(), w.Stats().Fired)
	})
}

// latenessBucket returns the bucket of a lateness by comparing all bounds.
func latenessBucket(late time.Duration) int {
	for i := range wheel.LatenessBuckets {
		if late <= wheel.LatenessBound(i) {
			return i
		}
	}
	return wheel.LatenessBuckets
}

func TestLateness_BoundsAreThoseOfNativeHistograms(t *testing.T) {
	for i := range wheel.LatenessBuckets {
		want := math.Exp2(float64(i-55) / 4) // the bounds of schema 2, in seconds
		require.InEpsilon(t, want, wheel.LatenessBound(i).Seconds(), 1e-4, "bound %d", i)
	}
	require.Equal(t, time.Second, wheel.LatenessBound(55))
	require.Equal(t, 64*time.Second, wheel.LatenessBound(wheel.LatenessBuckets-1))
}

func TestLateness_Quantile(t *testing.T) {
	var l wheel.Lateness
	require.Zero(t, l.Quantile(0.5), "empty")
	l.Counts[10], l.Counts[20], l.Counts[30] = 50, 49, 1
	for _, tt := range []struct {
		q    float64
		want int
	}{{0, 10}, {0.5, 10}, {0.51, 20}, {0.99, 20}, {0.991, 30}, {1, 30}} {
		require.Equal(t, wheel.LatenessBound(tt.want), l.Quantile(tt.q), "quantile %v", tt.q)
	}
	require.Equal(t, "100 callbacks, p50 410.593µs, p99 2.32267ms, max 13.139006ms late", l.String())
	l.Counts[wheel.LatenessBuckets] = 1
	require.Equal(t, 64*time.Second, l.Quantile(1), "the last bound stands for what is beyond")
}

func TestSlots_TellWhereTheTimersLie(t *testing.T) {
	const n = 600
	for _, tick := range []time.Duration{time.Millisecond, 10 * time.Millisecond, time.Hour} {
		onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
			require.Equal(t, tick, w.Tick())
			require.Empty(t, w.Slots())
			rng := rand.New(rand.NewPCG(3, 4))
			timers := []*wheel.Timer{w.AfterFunc(math.MaxInt64, func() {})} // lies in no slot
			for range n {
				d := time.Duration(rng.Int64N(int64(tick)) << rng.IntN(20))
				timers = append(timers, w.AfterFunc(d+1, func() {}))
			}
			for round := range 10 {
				checkSlots(t, w, timers[1:])
				time.Sleep(time.Duration(rng.Int64N(int64(20*tick))) << rng.IntN(5))
				sleep(0)
				for _, timer := range timers[1+rng.IntN(n):][:1] {
					timer.Stop()
				}
				if round == 5 {
					require.NotEmpty(t, w.Slots())
				}
			}
		})
	}
}

// checkSlots compares the slots with the deadlines of timers that were never
// moved.
func checkSlots(t *testing.T, w *wheel.Wheel, timers []*wheel.Timer) {
	var dues []time.Duration
	for _, timer := range timers {
		if due, pending := timer.Due(); pending {
			dues = append(dues, (due+w.Tick()-1)/w.Tick()*w.Tick()) // when its tick comes
		}
	}
	slots := w.Slots()
	require.True(t, slices.IsSortedFunc(slots, func(a, b wheel.Slot) int {
		return cmp.Or(cmp.Compare(a.Up, b.Up), cmp.Compare(a.Level, b.Level))
	}))
	var all int
	for _, s := range slots {
		all += s.Timers
		require.Equal(t, w.Tick()<<(6*s.Level), s.Span)
		require.EqualValues(t, s.Index, s.Up/s.Span%64)
		require.Greater(t, s.Up, w.Elapsed())
	}
	require.Equal(t, len(dues), all)
	for _, at := range dues[:min(len(dues), 50)] {
		var due, up, through int
		for _, d := range dues {
			if d <= at {
				due++
			}
		}
		for _, s := range slots {
			if s.Up <= at {
				up += s.Timers
			}
			if s.Up+2*s.Span <= at+w.Tick() { // a shard's comes up within a Span of the first
				through += s.Timers
			}
		}
		require.LessOrEqual(t, due, up, "a slot comes up no later than its timers are due")
		require.LessOrEqual(t, through, due, "a timer is due within the span of its slot")
	}
}
