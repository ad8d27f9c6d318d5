package wheel_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

var tickSizes = []time.Duration{
	0, time.Millisecond, 1_234_567, 7 * time.Millisecond, 16_666_667, 100 * time.Millisecond, time.Second, time.Hour + 1,
}

// delaysFor returns delays around whole ticks, at the edges of all levels within
// 250 years, and some odd ones.
func delaysFor(tick time.Duration) []time.Duration {
	ds := []time.Duration{1, 999, 333_333, 1_000_001, 123_456_789}
	for n := time.Duration(1); n < 250*365*24*time.Hour/tick; n *= 64 {
		ds = append(ds, n*tick-1, n*tick, n*tick+1, (n+1)*tick, (n-1)*tick+1, 63*n*tick/2, 7*n*tick/3)
	}
	ds = ds[:len(ds)-2]
	for i, d := range ds {
		ds[i] = max(d, 1)
	}
	return ds
}

// eachFiring arms a timer for each delay, one after the other and then all
// together, and calls judge with the wheel's times of deadline and firing.
func eachFiring(t *testing.T, judge func(t *testing.T, tick, due, at time.Duration)) {
	for _, tick := range tickSizes {
		for _, alone := range []bool{true, false} {
			t.Run(fmt.Sprintf("tick=%v/alone=%v", tick, alone), func(t *testing.T) {
				onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
					if tick == 0 {
						tick = 10 * time.Millisecond
					}
					var all sync.WaitGroup
					for i, d := range delaysFor(tick) {
						if alone && d > 100*24*time.Hour {
							continue
						}
						time.Sleep(time.Duration(i) * 7_654_321) // somewhere in a tick
						due, f := w.Elapsed()+d, new(firing)
						all.Add(1)
						w.AfterFunc(d, func() { f.on(w)(); all.Done() })
						if alone {
							all.Wait()
						}
						t.Cleanup(func() { judge(t, tick, due, f.last()) })
					}
					all.Wait()
				})
			})
		}
	}
}

func TestFiring_IsNeverBeforeTheDeadline(t *testing.T) {
	eachFiring(t, func(t *testing.T, _, due, at time.Duration) { require.GreaterOrEqual(t, at, due) })
}

func TestFiring_IsAtTheFirstTickThatIsNotBeforeTheDeadline(t *testing.T) {
	eachFiring(t, func(t *testing.T, tick, due, at time.Duration) {
		require.Less(t, at-due, tick)
		require.Zero(t, at%tick)
	})
}

func TestLen_IsTheNumberOfPendingTimers(t *testing.T) {
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		require.Zero(t, w.Len())
		var timers []*wheel.Timer
		for i := range 1000 {
			timers = append(timers, w.AfterFunc(time.Duration(1+i)*time.Second, func() {}))
			require.Equal(t, i+1, w.Len())
		}
		timers = append(timers, w.AfterFunc(math.MaxInt64, func() {}))
		require.Equal(t, 1001, w.Len())
		sleep(250 * time.Second)
		require.Equal(t, 751, w.Len())
		for i, timer := range timers {
			require.Equal(t, i >= 250, timer.Stop())
			require.False(t, timer.Stop())
			require.Equal(t, 751-max(0, i-249), w.Len())
		}
		require.Zero(t, w.Stats().Slots)
		require.Equal(t, uint64(250), w.Stats().Fired)
	})
}

func TestFiring_AfterDurationsFromThePastToCenturies(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, d := range []time.Duration{
		math.MinInt64, math.MinInt64 + 1, -year, -1, 0,
		1, 100 * year, 200*year + 1, 250 * year,
		290 * year, math.MaxInt64 - 1, math.MaxInt64,
	} {
		onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
			const phase = 3 * time.Millisecond
			time.Sleep(phase)
			var f firing
			timer := w.AfterFunc(d, f.on(w))
			synctest.Wait()
			if d <= 0 {
				require.EqualValues(t, 1, f.runs.Load(), "%v", d)
				require.Equal(t, phase, f.last(), "%v", d)
				require.False(t, timer.Reset(d))
				synctest.Wait()
				require.EqualValues(t, 2, f.runs.Load(), "%v", d)
				return
			}
			require.Equal(t, 1, w.Len())
			require.Zero(t, f.runs.Load(), "%v", d)
			sleep(251 * year)
			if d > 251*year {
				require.Zero(t, f.runs.Load(), "%v", d)
				require.True(t, timer.Reset(time.Second), "it can be armed again")
				sleep(time.Second + 10*time.Millisecond)
			} else {
				require.GreaterOrEqual(t, f.last()-phase, d, "%v", d)
				require.Less(t, f.last()-phase-d, 10*time.Millisecond, "%v", d)
			}
			require.EqualValues(t, 1, f.runs.Load(), "%v", d)
			require.Zero(t, w.Len())
		})
	}
}
