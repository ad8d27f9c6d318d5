package wheel_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestIdleWheel_DoesNotWakeUp(t *testing.T) {
	start := time.Now()
	onFakeTime(t, wheel.Config{Tick: time.Millisecond}, func(t *testing.T, _ *wheel.Wheel) { time.Sleep(100 * 365 * 24 * time.Hour) })
	onFakeTime(t, wheel.Config{Tick: time.Millisecond}, func(t *testing.T, w *wheel.Wheel) {
		w.AfterFunc(time.Second, func() {})
		w.AfterFunc(time.Minute, func() {}).Stop()
		time.Sleep(100 * 365 * 24 * time.Hour)
	})
	require.Less(t, time.Since(start), 5*time.Second) // 3e12 ticks
}

func TestIdleWheel_PassesAMonthWithOneTimerInFewSteps(t *testing.T) {
	const month = 30 * 24 * time.Hour
	for _, d := range []time.Duration{month, month / 2, month - 1, month/3 + 7} {
		start := time.Now()
		onFakeTime(t, wheel.Config{Tick: time.Millisecond}, func(t *testing.T, w *wheel.Wheel) {
			var f firing
			w.AfterFunc(d, f.on(w))
			sleep(month)
			require.EqualValues(t, 1, f.runs.Load())
			st := w.Stats()
			require.LessOrEqual(t, st.Moved, uint64(8), "once for each level")
			require.Zero(t, st.Rescued)
			require.False(t, st.LibraryDisabled)
		})
		require.Less(t, time.Since(start), 5*time.Second) // 2.6e9 ticks
	}
}
