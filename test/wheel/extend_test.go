package wheel_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestExtend_MakesATimerFireAtItsNewDeadline(t *testing.T) {
	const tick = 10 * time.Millisecond
	for _, arm := range delaysFor(tick) {
		for _, d := range []time.Duration{1, arm - arm/3, arm, arm + 1, 2*arm + 5, 64*tick + 1, 4096 * tick} {
			if arm > 1000*time.Hour {
				continue
			}
			onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
				var f firing
				timer := w.AfterFunc(arm, f.on(w))
				time.Sleep(arm / 2)
				require.True(t, timer.Extend(d))
				due := max(arm, arm/2+d)
				sleep(due - arm/2 - 1)
				require.Zero(t, f.runs.Load(), "armed for %v, extended by %v", arm, d)
				sleep(tick)
				require.EqualValues(t, 1, f.runs.Load(), "armed for %v, extended by %v", arm, d)
				require.GreaterOrEqual(t, f.last(), due, "armed for %v, extended by %v", arm, d)
				require.False(t, timer.Extend(time.Hour))
				require.Zero(t, w.Len())
			})
		}
	}
}

func TestExtend_MovesATimerOnlyWhenItsSlotComesUpBeforeItsDeadline(t *testing.T) {
	const tick = 10 * time.Millisecond
	onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
		var f firing
		var before uint64
		moved := func(atMost uint64) {
			t.Helper()
			sleep(128 * tick)
			require.Zero(t, w.Len())
			n := w.Stats().Moved
			require.LessOrEqual(t, n-before, atMost)
			before = n
		}
		sleep(64 * 1000 * tick) // idle; a turn of its level 0 begins here
		for i := range 63 {
			w.AfterFunc(time.Duration(i)*tick+tick/3, f.on(w))
		}
		moved(63) // each at most once, where a slot of level 1 begins on its way

		timer := w.AfterFunc(5*tick, f.on(w))
		for i := range 200 {
			require.True(t, timer.Extend(5*tick+time.Duration(i)*tick/7))
		}
		moved(2)

		timer = w.AfterFunc(40*tick, f.on(w))
		for i := range 300 {
			require.True(t, timer.Reset(time.Duration(400-i)*tick/10), "later than its slot, or in the same, or earlier")
		}
		moved(2)
		require.EqualValues(t, 65, f.runs.Load())
	})
}

func TestExtend_OfZeroOrLessChangesNothing(t *testing.T) {
	for _, d := range []time.Duration{0, -1, -time.Millisecond, math.MinInt64} {
		onFakeTime(t, wheel.Config{Tick: 10 * time.Millisecond}, func(t *testing.T, w *wheel.Wheel) {
			timer := w.AfterFunc(11*time.Millisecond, func() {})
			before, _ := timer.Deadline()
			for range 3 { // the last one between the deadline and the tick that it fires in
				time.Sleep(6 * time.Millisecond)
				require.True(t, timer.Extend(d))
				now, pending := timer.Deadline()
				require.True(t, pending)
				require.Equal(t, before, now, "Extend(%v) at %v", d, w.Elapsed())
			}
		})
	}
}
