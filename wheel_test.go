package sessionwheel_test

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// The contract of package wheel, from top to bottom. The tests run on the fake
// time of testing/synctest, where an hour takes microseconds and a time is exact
// to the nanosecond. The other tests of the package are in test/wheel.

// withWheel runs f in a bubble of fake time, with a wheel of its own that is
// closed at the end.
func withWheel(t *testing.T, c wheel.Config, f func(t *testing.T, w *wheel.Wheel)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := wheel.New(c)
		require.NoError(t, err)
		t.Cleanup(w.Close)
		f(t, w)
	})
}

// pass lets time pass, and waits for what it has set off.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A timer calls its function once, on a goroutine of the wheel's.
func TestAfterFunc_CallsItsFunctionOnce(t *testing.T) {
	withWheel(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		var calls atomic.Int32
		w.AfterFunc(time.Second, func() { calls.Add(1) })
		pass(time.Second - 1)
		require.Zero(t, calls.Load())
		pass(time.Hour)
		require.EqualValues(t, 1, calls.Load())
	})
}

// Guarantees 1 and 2: never early, and at most one Tick late, from a nanosecond
// to a century.
func TestAfterFunc_IsNeverEarlyAndAtMostATickLate(t *testing.T) {
	const tick = 100 * time.Millisecond
	for _, d := range []time.Duration{
		0, 1, time.Millisecond, tick - 1, tick, tick + 1, 6399 * time.Millisecond, time.Minute,
		time.Hour + 1, 1000 * time.Hour, 100 * 365 * 24 * time.Hour,
	} {
		withWheel(t, wheel.Config{Tick: tick}, func(t *testing.T, w *wheel.Wheel) {
			time.Sleep(33 * time.Millisecond) // not at the beginning of a tick
			start := time.Now()
			fired := make(chan time.Duration)
			w.AfterFunc(d, func() { fired <- time.Since(start) })
			at := <-fired
			require.GreaterOrEqual(t, at, d)
			require.Less(t, at, d+tick)
		})
	}
}

// Extend is what a session's activity calls: it only ever makes a deadline later.
func TestExtend_OnEachActivityKeepsATimerFromFiringUntilItIsIdle(t *testing.T) {
	withWheel(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		start := time.Now()
		fired := make(chan time.Duration, 1)
		timer := w.AfterFunc(5*time.Second, func() { fired <- time.Since(start) })
		for range 1000 {
			time.Sleep(3 * time.Second)
			require.True(t, timer.Extend(5*time.Second))
		}
		require.Equal(t, 3005*time.Second, <-fired)
	})
}

func TestExtend_NeverMakesADeadlineEarlier(t *testing.T) {
	withWheel(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		timer := w.AfterFunc(time.Hour, func() {})
		before, _ := timer.Deadline()
		require.True(t, timer.Extend(time.Minute), "it is pending")
		after, pending := timer.Deadline()
		require.True(t, pending)
		require.Equal(t, before, after)
	})
}

// Guarantee 4: Extend decides the race with the firing. When it reports false,
// the callback has been decided on, or the timer was stopped.
func TestExtend_ReportsFalseWhenItComesTooLate(t *testing.T) {
	withWheel(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		var calls atomic.Int32
		fired := w.AfterFunc(time.Second, func() { calls.Add(1) })
		stopped := w.AfterFunc(time.Second, func() { calls.Add(1) })
		require.True(t, stopped.Stop())
		pass(time.Second)
		require.False(t, fired.Extend(time.Hour))
		require.False(t, stopped.Extend(time.Hour))
		pass(2 * time.Hour)
		require.EqualValues(t, 1, calls.Load())
	})
}

// Stop reports true to the one caller that ended the arming.
func TestStop_ReportsWhetherItEndedTheArming(t *testing.T) {
	withWheel(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		timer := w.AfterFunc(time.Second, func() { t.Error("a stopped timer fired") })
		require.True(t, timer.Stop())
		require.False(t, timer.Stop())
		require.Zero(t, w.Len(), "it is unlinked at once")
		pass(time.Hour)

		timer = w.AfterFunc(time.Second, func() {})
		pass(time.Second)
		require.False(t, timer.Stop(), "it has fired")
	})
}

// Reset arms a timer whatever its state, to later or to earlier.
func TestReset_ReportsWhetherItReplacedAnArming(t *testing.T) {
	withWheel(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		var calls atomic.Int32
		timer := w.AfterFunc(time.Hour, func() { calls.Add(1) })
		require.True(t, timer.Reset(time.Second), "it was pending")
		pass(time.Second)
		require.EqualValues(t, 1, calls.Load(), "earlier than first armed")
		require.False(t, timer.Reset(time.Minute), "it had fired")
		pass(time.Minute)
		require.EqualValues(t, 2, calls.Load())
	})
}

// Guarantee 3: each arming ends in exactly one way: the function runs, Stop
// reports true, Reset reports true, or the wheel is closed.
func TestTimer_EndsEachArmingInOneWay(t *testing.T) {
	withWheel(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		rng := rand.New(rand.NewPCG(1, 2))
		var runs atomic.Int64
		var timers [100]wheel.Timer
		for i := range timers {
			timers[i].Init(w, func() { runs.Add(1) })
		}
		armed, ended := 0, 0
		for range 10_000 {
			timer := &timers[rng.IntN(len(timers))]
			d := time.Duration(rng.Int64N(int64(time.Second)))
			switch rng.IntN(4) {
			case 0:
				time.Sleep(d / 10)
			case 1:
				timer.Extend(d)
			case 2:
				if timer.Stop() {
					ended++
				}
			case 3:
				armed++
				if timer.Reset(d) {
					ended++
				}
			}
		}
		closed := w.Len()
		w.Close()
		synctest.Wait()
		require.NotZero(t, runs.Load())
		require.Equal(t, armed, int(runs.Load())+ended+closed)
	})
}

// A Timer is embedded in the struct that it belongs to. Then arming it allocates
// nothing, as long as it does not fire at once.
func TestInit_MakesAnEmbeddedTimerReadyWithoutAnAllocation(t *testing.T) {
	type session struct {
		name  string
		timer wheel.Timer
	}
	withWheel(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		closed := ""
		s := &session{name: "gopher"}
		s.timer.Init(w, func() { closed = s.name })
		require.Zero(t, testing.AllocsPerRun(100, func() {
			s.timer.Reset(time.Second)
			s.timer.Extend(time.Minute)
			s.timer.Stop()
			s.timer.Reset(time.Second)
		}))
		pass(time.Second)
		require.Equal(t, "gopher", closed)
	})
}

// Len and Stats say what the wheel holds and has done.
func TestStats_CountTimersAndCallbacks(t *testing.T) {
	withWheel(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		for i := range 10 {
			w.AfterFunc(time.Duration(1+i)*time.Second, func() {})
		}
		pass(4 * time.Second)
		require.Equal(t, 6, w.Len())
		st := w.Stats()
		require.Equal(t, 6, st.Pending)
		require.EqualValues(t, 4, st.Fired)
		require.Less(t, st.Late.Quantile(1), 10*time.Millisecond, "no callback was later than the default Tick")
	})
}

// Each callback runs on a goroutine of its own, up to MaxCallbacks of them, so
// that one that blocks delays no other. What is due beyond them waits.
func TestMaxCallbacks_IsHowManyRunAtOnce(t *testing.T) {
	withWheel(t, wheel.Config{MaxCallbacks: 2}, func(t *testing.T, w *wheel.Wheel) {
		gate := make(chan struct{})
		var done atomic.Int32
		w.AfterFunc(time.Second, func() { <-gate })
		w.AfterFunc(2*time.Second, func() { done.Add(1) })
		pass(time.Minute)
		require.EqualValues(t, 1, done.Load(), "there was a second place")

		w.AfterFunc(time.Second, func() { <-gate })
		w.AfterFunc(2*time.Second, func() { done.Add(1) })
		pass(time.Minute)
		require.EqualValues(t, 1, done.Load(), "both places are taken")
		require.Equal(t, 2, w.Stats().Running)
		require.Equal(t, 1, w.Stats().Waiting)

		close(gate)
		synctest.Wait()
		require.EqualValues(t, 2, done.Load())
	})
}

// Guarantee 7: however many timers are due, few of them wait for a place. The
// others stay pending, so that they can still be extended or stopped.
func TestMaxCallbacks_LeavesWhatIsDueBeyondABoundPending(t *testing.T) {
	withWheel(t, wheel.Config{MaxCallbacks: 1}, func(t *testing.T, w *wheel.Wheel) {
		const n = 20_000
		gate := make(chan struct{})
		w.AfterFunc(0, func() { <-gate })
		for range n {
			w.AfterFunc(time.Second, func() {})
		}
		pass(time.Minute)
		st := w.Stats()
		require.Less(t, st.Waiting, n/4)
		require.Equal(t, n, st.Waiting+st.Pending)
		close(gate)
		synctest.Wait()
		require.Zero(t, w.Len(), "none is lost")
	})
}

// Methods may be called from callbacks: no lock is held then.
func TestReset_MayBeCalledFromTheTimersOwnCallback(t *testing.T) {
	withWheel(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		var timer wheel.Timer
		var beats atomic.Int32
		timer.Init(w, func() {
			if beats.Add(1) < 10 {
				timer.Reset(time.Second)
			}
		})
		timer.Reset(time.Second)
		pass(time.Minute)
		require.EqualValues(t, 10, beats.Load())
	})
}

// Without OnPanic, a panic in a callback ends the process, as it does with
// time.AfterFunc.
func TestOnPanic_GetsAPanicAndTheWheelGoesOn(t *testing.T) {
	panics := make(chan any, 1)
	c := wheel.Config{OnPanic: func(v any, _ []byte) { panics <- v }}
	withWheel(t, c, func(t *testing.T, w *wheel.Wheel) {
		after := make(chan struct{})
		w.AfterFunc(time.Second, func() { panic("oops") })
		w.AfterFunc(2*time.Second, func() { close(after) })
		<-after
		require.Equal(t, "oops", <-panics)
	})
}

// Close ends every arming. It does not wait for callbacks that run, and so may be
// called from one.
func TestClose_EndsEveryArming(t *testing.T) {
	withWheel(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		timer := w.AfterFunc(time.Hour, func() { t.Error("fired after Close") })
		w.AfterFunc(time.Second, w.Close)
		pass(time.Minute)
		require.Zero(t, w.Len())
		require.False(t, timer.Stop())
		require.False(t, timer.Reset(time.Second))
		w.AfterFunc(time.Second, func() { t.Error("armed after Close") })
		pass(2 * time.Hour)
	})
}

func TestNew_NamesTheFieldThatIsWrong(t *testing.T) {
	_, err := wheel.New(wheel.Config{Tick: time.Microsecond})
	require.ErrorContains(t, err, "Config.Tick")
	_, err = wheel.New(wheel.Config{MaxCallbacks: -1})
	require.ErrorContains(t, err, "Config.MaxCallbacks")
}
