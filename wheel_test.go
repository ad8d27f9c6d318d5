package sessionwheel_test

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// startWheel makes a wheel that is closed when the test, or its bubble, ends.
func startWheel(t testing.TB, c wheel.Config) *wheel.Wheel {
	t.Helper()
	w, err := wheel.New(c)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

// onFakeTime runs f in a bubble with a wheel of its own.
func onFakeTime(t *testing.T, c wheel.Config, f func(t *testing.T, w *wheel.Wheel)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, startWheel(t, c)) })
}

// wheelSleep lets d pass and the wheel settle.
func wheelSleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wheelFiring counts a callback's runs and keeps the wheel's time of the last.
type wheelFiring struct{ runs, at atomic.Int64 }

func (f *wheelFiring) on(w *wheel.Wheel) func() {
	return func() {
		f.at.Store(int64(w.Elapsed()))
		f.runs.Add(1)
	}
}

func (f *wheelFiring) last() time.Duration { return time.Duration(f.at.Load()) }

var wheelTicks = []time.Duration{
	0, time.Millisecond, 1_234_567, 7 * time.Millisecond, 16_666_667, 100 * time.Millisecond, time.Second, time.Hour + 1,
}

// wheelDelays are around whole ticks, at the edges of all levels that 250 years
// reach, and odd ones.
func wheelDelays(tick time.Duration) []time.Duration {
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

// wheelFirings arms a timer for each delay, one after the other and then all
// together, and calls judge with the wheel's times of deadline and firing.
func wheelFirings(t *testing.T, judge func(t *testing.T, tick, due, at time.Duration)) {
	for _, tick := range wheelTicks {
		for _, alone := range []bool{true, false} {
			t.Run(fmt.Sprintf("tick=%v/alone=%v", tick, alone), func(t *testing.T) {
				onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
					if tick == 0 {
						tick = 10 * time.Millisecond
					}
					var all sync.WaitGroup
					for i, d := range wheelDelays(tick) {
						if alone && d > 100*24*time.Hour {
							continue
						}
						time.Sleep(time.Duration(i) * 7_654_321) // somewhere in a tick
						due, f := w.Elapsed()+d, new(wheelFiring)
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

func TestATimerNeverFiresBeforeItsDeadline(t *testing.T) {
	wheelFirings(t, func(t *testing.T, _, due, at time.Duration) { require.GreaterOrEqual(t, at, due) })
}

func TestATimerFiresAtTheFirstTickThatIsNotBeforeItsDeadline(t *testing.T) {
	wheelFirings(t, func(t *testing.T, tick, due, at time.Duration) {
		require.Less(t, at-due, tick)
		require.Zero(t, at%tick)
	})
}

func TestAnExtendedTimerFiresAtItsNewDeadline(t *testing.T) {
	const tick = 10 * time.Millisecond
	for _, arm := range wheelDelays(tick) {
		for _, d := range []time.Duration{1, arm - arm/3, arm, arm + 1, 2*arm + 5, 64*tick + 1, 4096 * tick} {
			if arm > 1000*time.Hour {
				continue
			}
			onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
				var f wheelFiring
				timer := w.AfterFunc(arm, f.on(w))
				time.Sleep(arm / 2)
				require.True(t, timer.Extend(d))
				due := max(arm, arm/2+d)
				wheelSleep(due - arm/2 - 1)
				require.Zero(t, f.runs.Load(), "armed for %v, extended by %v", arm, d)
				wheelSleep(tick)
				require.EqualValues(t, 1, f.runs.Load(), "armed for %v, extended by %v", arm, d)
				require.GreaterOrEqual(t, f.last(), due, "armed for %v, extended by %v", arm, d)
				require.False(t, timer.Extend(time.Hour))
				require.Zero(t, w.Len())
			})
		}
	}
}

func TestATimerExtendedOnEachActivityFiresOnceItIsIdle(t *testing.T) {
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		var f wheelFiring
		timer := w.AfterFunc(5*time.Second, f.on(w))
		for range 1000 {
			time.Sleep(3 * time.Second)
			require.True(t, timer.Extend(5*time.Second))
		}
		wheelSleep(time.Hour)
		require.Equal(t, 3005*time.Second, f.last())
		require.EqualValues(t, 1, f.runs.Load())
	})
}

func TestATimerMovesOnlyWhenItsSlotComesUpAheadOfItsDeadline(t *testing.T) {
	const tick = 10 * time.Millisecond
	onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
		var f wheelFiring
		moved := func(n int) {
			t.Helper()
			wheelSleep(64 * tick)
			require.Zero(t, w.Len())
			require.EqualValues(t, n, w.Stats().Moved)
		}
		wheelSleep(64 * 1000 * tick) // idle; its level 0 starts anew here
		for i := range 63 {
			w.AfterFunc(time.Duration(i)*tick+tick/3, f.on(w))
		}
		moved(0)

		timer := w.AfterFunc(5*tick, f.on(w))
		for i := range 200 {
			require.True(t, timer.Extend(5*tick+time.Duration(i)*tick/7))
		}
		moved(1)

		timer = w.AfterFunc(40*tick, f.on(w))
		for i := range 300 {
			require.True(t, timer.Reset(time.Duration(400-i)*tick/10), "later than its slot, or in the same, or earlier")
		}
		moved(1)
		require.EqualValues(t, 65, f.runs.Load())
	})
}

func TestAnExtendOfZeroOrLessChangesNothing(t *testing.T) {
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

func TestLenIsTheNumberOfPendingTimers(t *testing.T) {
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		require.Zero(t, w.Len())
		var timers []*wheel.Timer
		for i := range 1000 {
			timers = append(timers, w.AfterFunc(time.Duration(1+i)*time.Second, func() {}))
			require.Equal(t, i+1, w.Len())
		}
		timers = append(timers, w.AfterFunc(math.MaxInt64, func() {}))
		require.Equal(t, 1001, w.Len())
		wheelSleep(250 * time.Second)
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

// wheelHolder is what a timer's callback keeps in memory.
type wheelHolder struct {
	timer wheel.Timer
	_     [1 << 10]byte
	calls atomic.Int64
}

func TestATimerThatIsNotPendingIsCollected(t *testing.T) {
	for _, tt := range []struct {
		name string
		arm  time.Duration
		end  func(h *wheelHolder)
	}{
		{"stopped", time.Hour, func(h *wheelHolder) { h.timer.Stop() }},
		{"stopped, armed for ever", math.MaxInt64, func(h *wheelHolder) { h.timer.Stop() }},
		{"stopped after Extend", time.Hour, func(h *wheelHolder) { h.timer.Extend(9 * time.Hour); h.timer.Stop() }},
		{"stopped after Reset", time.Hour, func(h *wheelHolder) { h.timer.Reset(time.Second); h.timer.Stop() }},
		{"fired at once", time.Hour, func(h *wheelHolder) { h.timer.Reset(0) }},
		{"fired", time.Hour, func(h *wheelHolder) { h.timer.Reset(time.Millisecond) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := startWheel(t, wheel.Config{})
			const n = 300 // several of them in each slot of each shard
			var kept []*wheelHolder
			var gone []weak.Pointer[wheelHolder]
			for i := range n {
				h := new(wheelHolder)
				h.timer.Init(w, func() { h.calls.Add(1) })
				h.timer.Reset(tt.arm)
				if i%2 == 0 {
					kept = append(kept, h)
				}
				gone = append(gone, weak.Make(h))
			}
			for i, p := range gone {
				if i%2 == 1 {
					tt.end(p.Value())
				}
			}
			require.Eventually(t, func() bool {
				runtime.GC()
				for i, p := range gone {
					if i%2 == 1 && p.Value() != nil {
						return false
					}
				}
				return true
			}, 20*time.Second, time.Millisecond)
			for _, h := range kept {
				require.True(t, h.timer.Stop())
				require.Zero(t, h.calls.Load())
			}
			require.Zero(t, w.Len())
			runtime.KeepAlive(w)
		})
	}
}

func TestAnHourOfIdlenessWakesNobody(t *testing.T) {
	start := time.Now()
	onFakeTime(t, wheel.Config{Tick: time.Millisecond}, func(t *testing.T, _ *wheel.Wheel) { time.Sleep(100 * 365 * 24 * time.Hour) })
	onFakeTime(t, wheel.Config{Tick: time.Millisecond}, func(t *testing.T, w *wheel.Wheel) {
		w.AfterFunc(time.Second, func() {})
		w.AfterFunc(time.Minute, func() {}).Stop()
		time.Sleep(100 * 365 * 24 * time.Hour)
	})
	require.Less(t, time.Since(start), 5*time.Second) // 3e12 ticks
}

func TestAMonthWithOneTimerPassesInFewSteps(t *testing.T) {
	const month = 30 * 24 * time.Hour
	for _, d := range []time.Duration{month, month / 2, month - 1, month/3 + 7} {
		start := time.Now()
		onFakeTime(t, wheel.Config{Tick: time.Millisecond}, func(t *testing.T, w *wheel.Wheel) {
			var f wheelFiring
			w.AfterFunc(d, f.on(w))
			wheelSleep(month)
			require.EqualValues(t, 1, f.runs.Load())
			st := w.Stats()
			require.LessOrEqual(t, st.Moved, uint64(8), "once for each level")
			require.Zero(t, st.Rescued)
			require.False(t, st.Alone)
		})
		require.Less(t, time.Since(start), 5*time.Second) // 2.6e9 ticks
	}
}

func TestArmingAnEmbeddedTimerAllocatesNothing(t *testing.T) {
	w := startWheel(t, wheel.Config{})
	var h wheelHolder
	h.timer.Init(w, func() { h.calls.Add(1) })
	h.timer.Reset(time.Hour)
	d := time.Hour
	for name, f := range map[string]func(){
		"Extend to later":   func() { d += time.Second; h.timer.Extend(d) },
		"Extend to earlier": func() { h.timer.Extend(time.Second) },
		"Reset to later":    func() { d += time.Second; h.timer.Reset(d) },
		"Reset to earlier":  func() { d -= time.Millisecond; h.timer.Reset(d) },
		"Stop and Reset":    func() { h.timer.Stop(); h.timer.Reset(d) },
		"Deadline":          func() { h.timer.Deadline() },
	} {
		require.Zero(t, testing.AllocsPerRun(1000, f), name)
	}
}

func TestAConfigErrorNamesTheField(t *testing.T) {
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
		startWheel(t, c)
	}
}

func TestDurationsFromThePastToCenturies(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, d := range []time.Duration{
		math.MinInt64, math.MinInt64 + 1, -year, -1, 0,
		1, 100 * year, 200*year + 1, 250 * year,
		290 * year, math.MaxInt64 - 1, math.MaxInt64,
	} {
		onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
			const phase = 3 * time.Millisecond
			time.Sleep(phase)
			var f wheelFiring
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
			wheelSleep(251 * year)
			if d > 251*year {
				require.Zero(t, f.runs.Load(), "%v", d)
				require.True(t, timer.Reset(time.Second), "it can be armed anew")
				wheelSleep(time.Second + 10*time.Millisecond)
			} else {
				require.GreaterOrEqual(t, f.last()-phase, d, "%v", d)
				require.Less(t, f.last()-phase-d, 10*time.Millisecond, "%v", d)
			}
			require.EqualValues(t, 1, f.runs.Load(), "%v", d)
			require.Zero(t, w.Len())
		})
	}
}
