package wheel_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestConfig_ErrorsNameTheField(t *testing.T) {
	for _, tt := range []struct {
		config wheel.Config
		field  string
	}{
		{wheel.Config{Tick: 1}, "Config.Tick"},
		{wheel.Config{Tick: time.Millisecond - 1}, "Config.Tick"},
		{wheel.Config{Tick: -time.Second}, "Config.Tick"},
		{wheel.Config{Tick: math.MinInt64}, "Config.Tick"},
		{wheel.Config{MaxCallbacks: -1}, "Config.MaxCallbacks"},
	} {
		w, err := wheel.New(tt.config)
		require.ErrorContains(t, err, tt.field)
		require.True(t, strings.HasPrefix(err.Error(), "wheel: "), err)
		require.Nil(t, w)
	}
	for _, c := range []wheel.Config{{}, {Tick: time.Millisecond, MaxCallbacks: 1}, {Tick: math.MaxInt64, MaxCallbacks: math.MaxInt}} {
		harness.NewWheel(t, c)
	}
}

func TestZeroTimer_MethodsPanic(t *testing.T) {
	for name, f := range map[string]func(*wheel.Timer){
		"Reset":    func(timer *wheel.Timer) { timer.Reset(time.Second) },
		"Reset(0)": func(timer *wheel.Timer) { timer.Reset(0) },
		"Extend":   func(timer *wheel.Timer) { timer.Extend(time.Second) },
		"Extend-1": func(timer *wheel.Timer) { timer.Extend(-1) },
		"ExtendTo": func(timer *wheel.Timer) { timer.ExtendTo(time.Second) },
		"ResetTo":  func(timer *wheel.Timer) { timer.ResetTo(0, time.Second) },
		"Due":      func(timer *wheel.Timer) { timer.Due() },
		"Stop":     func(timer *wheel.Timer) { timer.Stop() },
		"Deadline": func(timer *wheel.Timer) { timer.Deadline() },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				v, _ := recover().(string)
				require.True(t, strings.HasPrefix(v, "wheel: "), v)
				require.Contains(t, v, "Timer.Init")
			}()
			f(new(wheel.Timer))
		})
	}
}

func TestInit_PanicsOnWhatCodeGotWrong(t *testing.T) {
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		var first, second firing
		var timer wheel.Timer
		require.Panics(t, func() { timer.Init(nil, func() {}) })
		require.Panics(t, func() { timer.Init(w, nil) })
		require.Panics(t, func() { w.AfterFunc(time.Second, nil) })
		require.Zero(t, w.Len())

		timer.Init(w, first.on(w))
		require.False(t, timer.Stop(), "it is not armed yet")
		require.False(t, timer.Extend(time.Second))
		require.False(t, timer.Reset(time.Second))
		for _, d := range []time.Duration{time.Second, longest} {
			timer.Reset(d)
			require.PanicsWithValue(t, "wheel: Timer.Init of a pending timer", func() { timer.Init(w, func() {}) })
		}
		timer.Reset(time.Second)
		sleep(time.Minute)
		require.EqualValues(t, 1, first.runs.Load())

		other := harness.NewWheel(t, wheel.Config{})
		timer.Init(other, second.on(other))
		timer.Reset(time.Second)
		require.Equal(t, 1, other.Len())
		sleep(time.Minute)
		require.EqualValues(t, 1, first.runs.Load())
		require.EqualValues(t, 1, second.runs.Load())
	})
}
