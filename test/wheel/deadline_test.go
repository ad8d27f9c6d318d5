package wheel_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestDeadline_IsWhenTheTimerIsDue(t *testing.T) {
	onFakeTime(t, wheel.Config{Tick: time.Second}, func(t *testing.T, w *wheel.Wheel) {
		time.Sleep(time.Minute + 7)
		now := time.Now()
		timer := w.AfterFunc(90*time.Millisecond, func() {})
		is := func(d time.Duration) {
			t.Helper()
			at, ok := timer.Deadline()
			require.True(t, ok)
			require.Equal(t, d, at.Sub(now), "to the nanosecond, not to the tick")
			require.Equal(t, at, w.Time(at.Sub(w.Time(0))))
		}
		is(90 * time.Millisecond)
		require.True(t, timer.Extend(80*time.Millisecond))
		is(90 * time.Millisecond)
		require.True(t, timer.Extend(100*time.Millisecond))
		is(100 * time.Millisecond)
		require.True(t, timer.Reset(5))
		is(5)
		require.True(t, timer.ExtendTo(w.Elapsed()+11))
		is(11)
		require.True(t, timer.ExtendTo(w.Elapsed()))
		is(11)
		require.True(t, timer.Reset(longest))
		at, ok := timer.Deadline()
		require.True(t, ok)
		require.Greater(t, at.Sub(now), 290*365*24*time.Hour)
		require.True(t, timer.Stop())
		_, ok = timer.Deadline()
		require.False(t, ok)
	})
}

// Times in a bubble carry no monotonic reading, so this test runs on the real
// clock.
func TestDeadline_CarriesAMonotonicReading(t *testing.T) {
	w := harness.NewWheel(t, wheel.Config{})
	at, ok := w.AfterFunc(time.Hour, func() {}).Deadline()
	require.True(t, ok)
	require.Contains(t, at.String(), " m=")
}

func TestDue_TellsACallbackWhatItRunsFor(t *testing.T) {
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		var timer wheel.Timer
		due := make(chan time.Duration)
		timer.Init(w, func() {
			at, pending := timer.Due()
			if pending {
				at = -1
			}
			due <- at
		})
		timer.ResetTo(w.Elapsed(), time.Hour)
		timer.ExtendTo(2*time.Hour + 3)
		require.Equal(t, 2*time.Hour+3, <-due)
		timer.ResetTo(w.Elapsed(), 5*time.Second) // which is past
		require.Equal(t, 5*time.Second, <-due)
		require.Equal(t, 2*time.Hour+10*time.Millisecond, w.Elapsed())
	})
}

// A timer whose deadline has passed may wait for its tick. Reset to now, it fires
// now all the same, though its deadline gets no earlier.
func TestReset_OfZeroFiresATimerAtOnceThatWaitsForItsTick(t *testing.T) {
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		for _, between := range []time.Duration{1, time.Millisecond} {
			var f firing
			timer := w.AfterFunc(1, f.on(w))
			sleep(between)
			require.True(t, timer.Reset(0), "it was pending")
			synctest.Wait()
			require.EqualValues(t, 1, f.runs.Load())
			require.False(t, timer.Stop())
		}
	})
}
