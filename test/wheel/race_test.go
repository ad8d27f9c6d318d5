package wheel_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// The tests below run on the real clock, since they look for the moment in which
// two goroutines decide about one timer. They do not depend on how late anything
// is.

const (
	raceFor = 500 * time.Millisecond
)

// ownedTimer is a timer that one goroutine uses while the wheel fires it.
type ownedTimer struct {
	wheel.Timer
	firing

	armed, ended int64         // armings, and those that ended in Stop or Reset
	promised     time.Duration // f does not run before
	decided      bool          // a method said that f's run is decided, and t was not armed since
	mixed        bool          // f may still run for an arming before the last
	wrong        string
}

// step makes one random call and checks what must hold after it.
func (o *ownedTimer) step(w *wheel.Wheel, rng *rand.Rand) {
	runs := o.runs.Load()
	d := time.Duration(1+rng.IntN(1500)) * time.Microsecond
	out := o.armed - o.ended - runs // armings under way
	switch {
	case out < 0:
		o.wrong = "f ran more often than the timer was armed"
		return
	case out == 0: // it has run to the end
		if !o.mixed && o.armed > 0 && o.last() < o.promised {
			o.wrong = "f ran before the deadline that Extend or Reset promised"
		}
		if o.Extend(d) || o.Stop() {
			o.wrong = "a timer whose armings all ended is pending"
		}
		o.promised, o.decided, o.mixed = w.Elapsed()+d, false, false
		if o.Reset(d) {
			o.wrong = "Reset reports true for a timer whose armings all ended"
		}
		o.armed++
		return
	}
	was := false
	switch now := w.Elapsed(); rng.IntN(16) {
	case 0:
		if was = o.Stop(); was {
			o.ended++
			o.mixed = o.mixed || out > 1
			o.promised, o.decided = 0, false
			return
		}
	case 1, 2:
		was = o.Reset(d)
		o.armed++
		o.promised = now + d
		if was {
			o.ended++
		} else {
			o.mixed = true // the decided run may come after this arming
		}
		if was && o.decided {
			o.wrong = "Reset reports true after the run was decided"
		}
		o.decided = false
		return
	default:
		if was = o.Extend(d); was {
			o.promised = max(o.promised, now+d)
		}
	}
	if was && o.decided {
		o.wrong = "a timer whose run was decided is pending"
	}
	o.decided = o.decided || !was
}

func TestArming_EndsOnceHoweverItRacesWithTheFiring(t *testing.T) {
	w := harness.NewWheel(t, wheel.Config{Tick: time.Millisecond})
	const owners = 3
	timers := make([][]ownedTimer, owners)
	var all sync.WaitGroup
	end := time.Now().Add(raceFor)
	for i := range timers {
		timers[i] = make([]ownedTimer, 1500)
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			for j := range timers[i] {
				timers[i][j].Init(w, timers[i][j].on(w))
			}
			for time.Now().Before(end) {
				for j := range timers[i] {
					timers[i][j].step(w, rng)
				}
			}
		})
	}
	all.Wait()
	settled := func() bool {
		for i := range timers {
			for j := range timers[i] {
				if o := &timers[i][j]; o.runs.Load() < o.armed-o.ended {
					return false
				}
			}
		}
		return w.Stats().Running == 0
	}
	require.Eventually(t, settled, harness.Patience, time.Millisecond, "an arming was lost")
	require.Zero(t, w.Len())
	for i := range timers {
		for j := range timers[i] {
			o := &timers[i][j]
			require.Empty(t, o.wrong)
			require.Equal(t, o.armed-o.ended, o.runs.Load(), "armed %d times", o.armed)
		}
	}
}

// Here the goroutines also race with one another for few timers.
func TestArming_EndsOnceWhenManyUseOneTimer(t *testing.T) {
	w := harness.NewWheel(t, wheel.Config{Tick: time.Millisecond, MaxCallbacks: 4})
	var timers [5]struct {
		wheel.Timer
		firing
		armed, ended atomic.Int64
	}
	for i := range timers {
		timers[i].Init(w, timers[i].on(w))
	}
	var all sync.WaitGroup
	end := time.Now().Add(raceFor)
	for i := range 4 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 9))
			for time.Now().Before(end) {
				o := &timers[rng.IntN(len(timers))]
				d := time.Duration(rng.IntN(3000)-200) * time.Microsecond
				switch rng.IntN(4) {
				case 0:
					if o.Stop() {
						o.ended.Add(1)
					}
				case 1:
					o.Extend(d)
				case 2:
					time.Sleep(time.Duration(rng.IntN(20)) * time.Microsecond)
				default:
					o.armed.Add(1)
					if o.Reset(d) {
						o.ended.Add(1)
					}
				}
			}
		})
	}
	all.Wait()
	balance := func() bool {
		for i := range timers {
			if o := &timers[i]; o.armed.Load() != o.ended.Load()+o.runs.Load() {
				return false
			}
		}
		return true
	}
	require.Eventually(t, balance, harness.Patience, time.Millisecond)
	require.Zero(t, w.Len())
	time.Sleep(5 * time.Millisecond)
	require.True(t, balance(), "and stays so")
	require.Zero(t, w.Stats().Slots)
}

// It goes over the timers at about the moment at which the wheel does, with a call
// that keeps each from firing for a minute. If the call reports that it came in
// time, f must not have run; if not, f runs.
func TestArming_IsNotRunWhenItWasTakenFromItsFiring(t *testing.T) {
	const n, tick = 2000, time.Millisecond
	for name, take := range map[string]func(*ownedTimer) bool{
		"Stop":   func(o *ownedTimer) bool { return o.Stop() },
		"Extend": func(o *ownedTimer) bool { return o.Extend(time.Minute) },
		"Reset":  func(o *ownedTimer) bool { return o.Reset(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			w := harness.NewWheel(t, wheel.Config{Tick: tick})
			timers := make([]ownedTimer, n)
			for i := range timers {
				timers[i].Init(w, timers[i].on(w))
			}
			taken, missed := 0, 0
			for end := time.Now().Add(raceFor); time.Now().Before(end); {
				due := (w.Elapsed()/tick + 3) * tick
				for i := range timers {
					timers[i].Reset(due - w.Elapsed())
				}
				for ahead := time.Duration(rand.IntN(400)) * time.Microsecond; w.Elapsed() < due-ahead; {
				}
				for i := range timers {
					timers[i].decided = !take(&timers[i])
				}
				for i := range timers {
					o := &timers[i]
					if o.decided {
						missed++
						o.armed++
					} else {
						taken++
					}
					if pending := o.Stop(); pending != (name == "Reset" || name == "Extend" && !o.decided) {
						t.Fatalf("in time: %v, and then pending: %v", !o.decided, pending)
					}
				}
				ran := func(ok func(runs, armed int64) bool) func() bool {
					return func() bool {
						for i := range timers {
							if !ok(timers[i].runs.Load(), timers[i].armed) {
								return false
							}
						}
						return true
					}
				}
				require.Eventually(t, ran(func(runs, armed int64) bool { return runs >= armed }), harness.Patience, 50*time.Microsecond)
				require.True(t, ran(func(runs, armed int64) bool { return runs == armed })(), "f ran, and not only for those that were missed")
			}
			require.Zero(t, w.Len())
			t.Logf("%d taken, %d missed", taken, missed)
		})
	}
}

// It closes wheels at about the time at which their timers are due. A callback that
// has started looks the same as one that a goroutine is about to start, so up to
// MaxCallbacks of them may seem to start after Close.
func TestClose_AndTheFiringNeverBothWin(t *testing.T) {
	const n, bound = 400, 4
	for end := time.Now().Add(raceFor); time.Now().Before(end); {
		w := harness.NewWheel(t, wheel.Config{Tick: time.Millisecond, MaxCallbacks: bound})
		var closed atomic.Bool
		var late atomic.Int64
		timers, runs := make([]*wheel.Timer, n), make([]atomic.Int64, n)
		for i := range timers {
			timers[i] = w.AfterFunc(time.Duration(1+i%3)*time.Millisecond, func() {
				if closed.Load() {
					late.Add(1)
				}
				runs[i].Add(1)
			})
		}
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				time.Sleep(time.Duration(1+rand.IntN(2000)) * time.Microsecond)
				w.Close()
				closed.Store(true)
				for j := range timers {
					if timers[j].Extend(time.Second) || timers[j].Reset(0) || timers[j].Stop() {
						late.Add(n)
					}
				}
			})
		}
		all.Wait()
		require.Zero(t, w.Len())
		require.Eventually(t, func() bool { return w.Stats().Running == 0 }, harness.Patience, 100*time.Microsecond)
		require.LessOrEqual(t, late.Load(), int64(bound))
		for i := range runs {
			if runs[i].Load() > 1 {
				t.Fatal("a callback ran twice")
			}
		}
	}
}

// It closes, on fake time, in the instant in which hundreds of timers are due.
func TestClose_DropsWhatTheDriverHasTaken(t *testing.T) {
	t.Parallel() // beside tests that wait for their processes
	for range 300 {
		var late atomic.Int64
		onFakeTime(t, wheel.Config{MaxCallbacks: 1}, func(t *testing.T, w *wheel.Wheel) {
			var closed atomic.Bool
			for range 300 {
				w.AfterFunc(time.Second, func() {
					if closed.Load() {
						late.Add(1)
					}
				})
			}
			time.Sleep(time.Second)
			w.Close()
			closed.Store(true)
			synctest.Wait()
		})
		require.LessOrEqual(t, late.Load(), int64(1))
	}
}

// Each callback of a round waits until all have started. They come from the driver
// and from several goroutines, at one instant of fake time.
func TestCallbacks_ThatWaitForOneAnotherAllRun(t *testing.T) {
	const at, once = 3, 3 // due at a tick, and at once
	onFakeTime(t, wheel.Config{MaxCallbacks: at + once}, func(t *testing.T, w *wheel.Wheel) {
		for round := range 1500 {
			var met sync.WaitGroup
			var started atomic.Int64
			met.Add(at + once)
			meet := func() { started.Add(1); met.Done(); met.Wait() }
			for range at {
				w.AfterFunc(10*time.Millisecond, meet)
			}
			for range once {
				go func() {
					time.Sleep(10 * time.Millisecond)
					w.AfterFunc(0, meet)
				}()
			}
			sleep(10 * time.Millisecond)
			if n := started.Load(); n != at+once {
				met.Add(int(n) - at - once) // lets them go
				t.Fatalf("round %d: %d callbacks started", round, n)
			}
		}
	})
}

// Times are measured by the caller's clock.
func TestArming_FromManyGoroutinesLosesNoTimerAndNoneIsEarly(t *testing.T) {
	const goroutines, each = 8, 500
	for _, tick := range []time.Duration{time.Millisecond, 10 * time.Millisecond} {
		w := harness.NewWheel(t, wheel.Config{Tick: tick})
		var after, least [goroutines * each]atomic.Int64
		var fired atomic.Int64
		var all sync.WaitGroup
		for i := range goroutines {
			all.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(i), 3))
				for j := i * each; j < (i+1)*each; j++ {
					d := time.Duration(2 + rng.Int64N(int64(80*time.Millisecond)))
					start := time.Now()
					timer := w.AfterFunc(d/2, func() {
						after[j].Store(int64(time.Since(start)))
						fired.Add(1)
					})
					if timer.Extend(d) {
						least[j].Store(int64(d))
					} else {
						least[j].Store(int64(d / 2))
					}
				}
			})
		}
		all.Wait()
		require.Eventually(t, func() bool { return fired.Load() == goroutines*each }, harness.Patience, time.Millisecond)
		require.Zero(t, w.Len())
		for j := range after {
			if after[j].Load() < least[j].Load() {
				t.Fatalf("fired %v after it was armed for %v", time.Duration(after[j].Load()), time.Duration(least[j].Load()))
			}
		}
	}
}
