package wheel_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// The cases below are those that other timers are tested with or failed on:
// Netty's HashedWheelTimer, Caffeine's TimerWheel, tokio's and Go's own.

// TestFiring_OfAHundredThousandTimersIsEachInItsWindow is Netty's.
func TestFiring_OfAHundredThousandTimersIsEachInItsWindow(t *testing.T) {
	t.Parallel() // beside tests that wait for their processes
	const n, tick = 100_000, 10 * time.Millisecond
	rng := rand.New(rand.NewPCG(1, 2))
	onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
		fs, dues := make([]firing, n), make([]time.Duration, n)
		for i := range fs {
			if i%1000 == 999 {
				time.Sleep(time.Duration(rng.Int64N(int64(20 * tick))))
			}
			d := time.Duration(1 + rng.Int64N(int64(30*time.Second)))
			dues[i] = w.Elapsed() + d
			w.AfterFunc(d, fs[i].on(w))
		}
		sleep(time.Minute)
		require.Zero(t, w.Len())
		require.Equal(t, wheel.Stats{Fired: n, Moved: w.Stats().Moved}, countsOf(w))
		for i := range fs {
			late := fs[i].last() - dues[i]
			if fs[i].runs.Load() != 1 || late < 0 || late >= tick {
				t.Fatalf("fired %d times, %v after its deadline", fs[i].runs.Load(), late)
			}
		}
	})
}

// TestReset_FromTheTimersOwnCallbackIsNeverOverlooked is Netty's. All chains run at
// once, so that timers are armed at each point of the driver's round. One that the
// driver overlooked would be late, or never fire.
func TestReset_FromTheTimersOwnCallbackIsNeverOverlooked(t *testing.T) {
	const chains, rounds = 100, 150
	for _, tick := range []time.Duration{time.Millisecond, 10 * time.Millisecond} {
		onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
			var wrong, runs atomic.Int64
			for i := range chains {
				var timer wheel.Timer
				rng := rand.New(rand.NewPCG(uint64(i), 0))
				left := rounds
				var fires time.Duration
				arm := func() {
					d := time.Duration(1 + rng.Int64N(int64(3*tick)))
					fires = (w.Elapsed() + d + tick - 1) / tick * tick
					timer.Reset(d)
				}
				timer.Init(w, func() {
					runs.Add(1)
					if w.Elapsed() != fires {
						wrong.Add(1)
					}
					if left--; left > 0 {
						arm()
					}
				})
				arm()
			}
			sleep(rounds * 4 * tick)
			require.Zero(t, wrong.Load())
			require.EqualValues(t, chains*rounds, runs.Load())
			require.Zero(t, w.Len())
		})
	}
}

// A few timers fire together and arm themselves from their callbacks, when the
// driver may have scanned their shard and not yet know how long to sleep. Nothing
// else would wake it in time.
func TestReset_IsNotOverlookedWhileTheDriverScans(t *testing.T) {
	const tick = 10 * time.Millisecond
	rng := rand.New(rand.NewPCG(5, 6))
	onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
		for range 1200 {
			start := w.Elapsed()
			fs := make([]firing, 2+rng.IntN(6))
			timers := make([]wheel.Timer, len(fs))
			again := rng.Perm(len(fs))
			for i := range timers {
				timers[i].Init(w, func() {
					fs[i].on(w)()
					if fs[i].runs.Load() == 1 {
						timers[i].Reset(time.Duration(1+again[i]) * tick)
					}
				})
				timers[i].Reset(tick)
			}
			sleep(10 * tick)
			for i := range fs {
				if fs[i].runs.Load() != 2 || fs[i].last() != start+time.Duration(2+again[i])*tick {
					t.Fatalf("ran %d times, the last %v late", fs[i].runs.Load(), fs[i].last()-start-time.Duration(2+again[i])*tick)
				}
			}
		}
	})
}

// TestLen_IsExactWhenTimersAreStoppedInTheTickThatFires is Netty's: each callback
// stops the next timer of the same tick.
func TestLen_IsExactWhenTimersAreStoppedInTheTickThatFires(t *testing.T) {
	const n = 10_000 // far more than the driver takes under the lock at a time
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		timers := make([]wheel.Timer, n)
		runs, stops := make([]atomic.Int64, n), make([]atomic.Int64, n)
		for i := range timers {
			timers[i].Init(w, func() {
				runs[i].Add(1)
				if next := (i + 1) % n; timers[next].Stop() {
					stops[next].Add(1)
				}
			})
		}
		for i := range timers {
			timers[i].Reset(time.Second)
		}
		sleep(time.Second)
		require.Zero(t, w.Len())
		for i := range timers {
			if n := runs[i].Load() + stops[i].Load(); n != 1 {
				t.Fatalf("ended %d times", n)
			}
		}
	})
}

// TestFiring_AfterALongJumpMissesNoTimer is Caffeine's: far more than a turn of any level
// passes in one sleep, and then another, from every phase.
func TestFiring_AfterALongJumpMissesNoTimer(t *testing.T) {
	const tick = time.Second
	onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
		for _, jump := range []time.Duration{65 * tick, 64 * 64 * tick, 200_000 * tick, 64*64*64*64*tick + 1} {
			var fs [200]firing
			var dues [len(fs)]time.Duration
			for i := range fs {
				d := jump * time.Duration(i+1) / 100
				if i >= 100 {
					d = jump + 2*tick + jump*time.Duration(i-99)/101
				}
				dues[i] = w.Elapsed() + d
				w.AfterFunc(d, fs[i].on(w))
			}
			for half := range 2 {
				sleep(jump + tick)
				for i := range fs {
					require.EqualValues(t, min(1, max(0, half+1-i/100)), fs[i].runs.Load(), "%v: %d", jump, i)
				}
			}
			for i := range fs {
				require.GreaterOrEqual(t, fs[i].last(), dues[i])
				require.Less(t, fs[i].last()-dues[i], tick)
			}
			time.Sleep(tick / 3)
		}
	})
}

// TestDeadline_BeyondTheLastLevelIsKept is Caffeine's.
func TestDeadline_BeyondTheLastLevelIsKept(t *testing.T) {
	onFakeTime(t, wheel.Config{Tick: time.Millisecond}, func(t *testing.T, w *wheel.Wheel) {
		var fs [50]firing
		var timers []*wheel.Timer
		for i := range fs {
			timers = append(timers, w.AfterFunc(longest-time.Duration(i), fs[i].on(w)))
		}
		sleep(240 * 365 * 24 * time.Hour)
		require.Equal(t, len(fs), w.Len())
		require.Zero(t, w.Stats().Moved, "they lie aside")
		for i, timer := range timers {
			switch i % 3 {
			case 0:
				require.True(t, timer.Stop())
			case 1:
				require.True(t, timer.Extend(time.Second), "and stays beyond")
				require.True(t, timer.Reset(time.Second))
			}
		}
		sleep(2 * time.Second)
		for i := range fs {
			require.Equal(t, i%3 == 1, fs[i].runs.Load() == 1)
			require.Equal(t, i%3 == 2, timers[i].Stop())
		}
		require.Zero(t, w.Len())
	})
}

// TestReset_AndStopReportAsGosTimersDo follows Go's time tests.
func TestReset_AndStopReportAsGosTimersDo(t *testing.T) {
	const d = 100 * time.Millisecond
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		var f, g firing
		timer := w.AfterFunc(2*d, f.on(w))
		sleep(d)
		require.True(t, timer.Reset(3*d), "it was pending")
		sleep(2 * d)
		require.Zero(t, f.runs.Load(), "it fires for the new deadline")
		sleep(2 * d)
		require.EqualValues(t, 1, f.runs.Load())
		require.False(t, timer.Reset(50*d), "it had fired")
		require.True(t, timer.Stop())
		require.False(t, timer.Stop())
		require.False(t, timer.Reset(d), "it was stopped")
		sleep(2 * d)
		require.EqualValues(t, 2, f.runs.Load())

		half := w.AfterFunc(2*d, g.on(w)) // stopped halfway
		sleep(d)
		require.True(t, half.Stop())
		sleep(100 * d)
		require.Zero(t, g.runs.Load())
	})
}

// TestFiring_OfEachDelayOfTheFirstSecondIsOnItsTick is tokio's.
func TestFiring_OfEachDelayOfTheFirstSecondIsOnItsTick(t *testing.T) {
	t.Parallel() // beside tests that wait for their processes
	for _, phase := range []time.Duration{0, 17, 4095} {
		onFakeTime(t, wheel.Config{Tick: time.Millisecond}, func(t *testing.T, w *wheel.Wheel) {
			time.Sleep(phase * time.Millisecond)
			var alone firing
			var together [1024]firing
			for i := range together {
				w.AfterFunc(time.Duration(i)*time.Millisecond, together[i].on(w))
			}
			for i := range together {
				synctest.Wait()
				require.EqualValues(t, 1, together[i].runs.Load())
				require.Equal(t, (phase+time.Duration(i))*time.Millisecond, together[i].last())
				require.Equal(t, 1023-i, w.Len())
				time.Sleep(time.Millisecond)
			}
			for i := range together {
				due := w.Elapsed() + time.Duration(i)*time.Millisecond
				w.AfterFunc(due-w.Elapsed(), alone.on(w))
				sleep(due - w.Elapsed())
				require.EqualValues(t, i+1, alone.runs.Load())
				require.Equal(t, due, alone.last())
			}
		})
	}
}

// TestStop_RemovesASiblingAtALevelsEdge is tokio's: of the timers of one slot some
// are stopped before, when and after it comes up.
func TestStop_RemovesASiblingAtALevelsEdge(t *testing.T) {
	const tick, n = time.Millisecond, 64 // several in each shard
	for _, edge := range []time.Duration{1, 63, 64, 65, 127, 128, 4095, 4096, 4097, 4160, 262_144} {
		for _, off := range []time.Duration{-65, -2, -1, 0, 1, 40} {
			if edge+off < 0 {
				continue
			}
			onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
				var fs [n]firing
				var timers []*wheel.Timer
				for i := range fs {
					timers = append(timers, w.AfterFunc((edge+63)*tick, fs[i].on(w)))
				}
				sleep((edge + off) * tick) // its slot may have started
				kept := 0
				for i, timer := range timers {
					if i%3 == 0 {
						kept++
						continue
					}
					require.True(t, timer.Stop())
				}
				require.Equal(t, kept, w.Len())
				sleep((63 - off) * tick)
				for i := range fs {
					require.Equal(t, i%3 == 0, fs[i].runs.Load() == 1, "edge %d%+d: %d", edge, off, i)
				}
				require.Zero(t, w.Len())
			})
		}
	}
}

// TestReset_AfterTheTimersSlotHasStarted is tokio's: to earlier and to later,
// with siblings that stay.
func TestReset_AfterTheTimersSlotHasStarted(t *testing.T) {
	const tick = time.Millisecond
	for _, due := range []time.Duration{70, 100, 127, 4100, 4200, 8191, 262_150, 270_000} {
		started := due / 64 * 64
		if due > 4096 {
			started = due / 4096 * 4096
		}
		for _, to := range []time.Duration{1, 2, 5, 57, 58, 64, 1000, 4096, 10_000} {
			t.Run(fmt.Sprintf("due=%d/to=%d", due, to), func(t *testing.T) {
				onFakeTime(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
					var moved, stays firing
					var timers [20]wheel.Timer
					for i := range timers {
						timers[i].Init(w, moved.on(w))
						timers[i].Reset(due * tick)
						w.AfterFunc(due*tick, stays.on(w))
					}
					sleep(started * tick)
					for i := range timers {
						require.True(t, timers[i].Reset(to*tick))
					}
					first, second := &moved, &stays
					if started+to > due {
						first, second = second, first
					}
					at := []time.Duration{(started + to) * tick, due * tick}
					slices.Sort(at)
					sleep(at[0] - w.Elapsed())
					require.EqualValues(t, len(timers), first.runs.Load())
					require.Equal(t, at[0], first.last())
					sleep(at[1] - w.Elapsed())
					require.EqualValues(t, len(timers), second.runs.Load())
					require.Equal(t, at[1], second.last())
					require.Zero(t, w.Len())
				})
			})
		}
	}
}
