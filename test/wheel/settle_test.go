package wheel_test

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// settlement is a number of entries in one or more groups, which fire once.
type settlement struct {
	all   []settler
	calls atomic.Int64 // of Settle
	ahead atomic.Int64 // settled and not fired
	most  atomic.Int64 // what ahead was at most
	wrong atomic.Bool  // something was settled or fired twice, or in the wrong order
}

type settler struct {
	*settlement
	entry          wheel.Entry
	group          int
	due            time.Duration
	settled, fired atomic.Bool
	call, mates    atomic.Int64 // the call of Settle that it was settled in, and for how many
	fire           func()
}

func (s *settler) Expire(time.Duration) time.Duration { return s.due }

func (s *settler) Settle(batch []wheel.Due) (n int) {
	call := s.calls.Add(1)
	for _, d := range batch {
		other := d.Owner.(*settler)
		if other.group != s.group {
			break
		}
		n++
		if other.settled.Swap(true) || d.At != other.due {
			s.wrong.Store(true)
		}
		other.call.Store(call)
		s.most.Store(max(s.most.Load(), s.ahead.Add(1)))
	}
	for _, d := range batch[:n] {
		d.Owner.(*settler).mates.Store(int64(n))
	}
	return n
}

func (s *settler) Fire(now, due time.Duration) {
	if !s.settled.Load() || s.fired.Swap(true) || due != s.due || now < due {
		s.wrong.Store(true)
	}
	s.ahead.Add(-1)
	s.fire()
}

// newSettlement arms n entries in that many groups for a second from now.
func newSettlement(w *wheel.Wheel, n, groups int, fire func(st *settlement, i int)) *settlement {
	st := &settlement{all: make([]settler, n)}
	now := w.Elapsed()
	for i := range st.all {
		s := &st.all[i]
		s.settlement, s.group, s.due, s.fire = st, i%groups, now+time.Second, func() { fire(st, i) }
		w.InitSettler(&s.entry, s, s.group)
		if w.Arm(&s.entry, now, s.due) {
			w.Wake()
		}
	}
	return st
}

func (st *settlement) count() (settled, fired int) {
	for i := range st.all {
		if st.all[i].settled.Load() {
			settled++
		}
		if st.all[i].fired.Load() {
			fired++
		}
	}
	return settled, fired
}

func TestSettle_DecidesForManyOfAGroupAtOnceBeforeTheyFire(t *testing.T) {
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		const n = 4000
		st := newSettlement(w, n, 64, func(*settlement, int) {})
		sleep(time.Minute)
		settled, fired := st.count()
		require.Equal(t, n, settled)
		require.Equal(t, n, fired)
		require.False(t, st.wrong.Load())
		require.Less(t, st.calls.Load(), int64(n/4), "the entries of a group were not settled together")
		require.EqualValues(t, n, w.Stats().Late.Count())
	})
}

// Whatever some of the callbacks do, all others run at the same instant.
func TestSettle_AFireThatBlocksDelaysNoOther(t *testing.T) {
	var panics atomic.Int64
	onFakeTime(t, wheel.Config{OnPanic: func(any, []byte) { panics.Add(1) }}, func(t *testing.T, w *wheel.Wheel) {
		const n, blocked, goexits, panicking = 3000, 100, 300, 300
		gate, open := newGate(t)
		kinds := rand.Perm(n)
		var late, ran atomic.Int64
		start := time.Now()
		st := newSettlement(w, n, 16, func(_ *settlement, i int) {
			if time.Since(start) > time.Second {
				late.Add(1)
			}
			switch kind := kinds[i]; {
			case kind < blocked:
				<-gate
			case kind < blocked+goexits:
				runtime.Goexit()
			case kind < blocked+goexits+panicking:
				panic("in Fire")
			default:
				ran.Add(1)
			}
		})
		sleep(time.Minute)
		require.Zero(t, late.Load())
		require.EqualValues(t, n-blocked-goexits-panicking, ran.Load())
		require.EqualValues(t, panicking, panics.Load())
		require.False(t, st.wrong.Load())
		require.Greater(t, st.most.Load(), int64(1), "no callback blocked before others that were settled: nothing was shown")
		require.Equal(t, blocked, w.Stats().Running)
		require.Zero(t, w.Stats().Waiting)
		open()
		synctest.Wait()
		require.Zero(t, w.Stats().Running)
	})
}

// While callbacks take long, what waits for a goroutine is not settled.
func TestSettle_IsNotAheadOfCallbacksThatTakeLong(t *testing.T) {
	for _, places := range []int{1, 7} {
		onFakeTime(t, wheel.Config{MaxCallbacks: places}, func(t *testing.T, w *wheel.Wheel) {
			const n = 1000
			st := newSettlement(w, n, 64, func(*settlement, int) { time.Sleep(10 * time.Millisecond) })
			sleep(time.Minute)
			_, fired := st.count()
			require.Equal(t, n, fired)
			require.False(t, st.wrong.Load())
			require.LessOrEqual(t, st.most.Load(), int64(places))
		})
	}
}

func TestSettle_WhatIsSettledFiresThoughTheWheelIsClosed(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 1}, func(t *testing.T, w *wheel.Wheel) {
		const n, closer = 1000, 100
		ran := 0
		st := newSettlement(w, n, 64, func(*settlement, int) {
			if ran++; ran == closer {
				w.Close()
			}
		})
		sleep(time.Minute)
		settled, fired := st.count()
		require.Equal(t, settled, fired)
		require.Greater(t, fired, closer, "none was settled and had not fired: nothing was shown")
		require.Less(t, fired, n, "all were settled: nothing was shown")
		require.Zero(t, w.Stats().Waiting)
		require.Zero(t, w.Stats().Running)
	})
}

// selective leaves out, or has another owner fire for, some of those it settles.
type selective struct {
	entry  wheel.Entry
	due    time.Duration
	settle func(*wheel.Due)
	fire   func()
}

func (s *selective) Expire(time.Duration) time.Duration { return s.due }

func (s *selective) Settle(batch []wheel.Due) int {
	batch[0].Owner.(*selective).settle(&batch[0])
	return 1
}

func (s *selective) Fire(_, _ time.Duration) { s.fire() }

func TestSettle_ReplacesAnOwnerOrLeavesItOut(t *testing.T) {
	onFakeTime(t, wheel.Config{}, func(t *testing.T, w *wheel.Wheel) {
		const n = 300
		var itself, replaced, wrong atomic.Int64
		now := w.Elapsed()
		for i := range n {
			s := &selective{due: now + time.Second}
			switch i % 3 {
			case 0:
				s.settle, s.fire = func(*wheel.Due) {}, func() { itself.Add(1) }
			case 1:
				s.settle, s.fire = func(d *wheel.Due) { d.Owner = nil }, func() { wrong.Add(1) }
			case 2:
				other := &owner{expire: func(time.Duration) time.Duration { wrong.Add(1); return 0 }, fire: func() { replaced.Add(1) }}
				s.settle, s.fire = func(d *wheel.Due) { d.Owner = other }, func() { wrong.Add(1) }
			}
			w.InitSettler(&s.entry, s, i)
			if w.Arm(&s.entry, now, s.due) {
				w.Wake()
			}
		}
		sleep(time.Minute)
		require.EqualValues(t, n/3, itself.Load())
		require.EqualValues(t, n/3, replaced.Load())
		require.Zero(t, wrong.Load())
		require.EqualValues(t, n*2/3, w.Stats().Late.Count(), "what does not fire is not late")
	})
}

// Many more are due than are settled at once. What was settled together with a
// callback that blocks does not wait until all of them have run.
func TestSettle_WhatIsSettledWithAFireThatBlocksDoesNotWaitForABacklog(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 2}, func(t *testing.T, w *wheel.Wheel) {
		const n, groups, together = 20_000, 64, 8
		gate, _ := newGate(t)
		var blocked atomic.Int64            // the call of Settle that the blocked one was settled in
		var fired, began, last atomic.Int64 // callbacks: all, when one blocked, when the last settled with it ran
		newSettlement(w, n, groups, func(st *settlement, i int) {
			s, count := &st.all[i], fired.Add(1)
			if s.mates.Load() >= together && blocked.CompareAndSwap(0, s.call.Load()) {
				began.Store(count)
				<-gate
			} else if s.call.Load() == blocked.Load() {
				last.Store(count) // by the one goroutine that is not blocked
			}
		})
		sleep(time.Minute)
		require.EqualValues(t, n, fired.Load())
		require.NotZero(t, began.Load())
		require.Less(t, last.Load()-began.Load(), int64(1000))
	})
}

// A wheel that has met a callback that takes long settles no more ahead of the next.
func TestSettle_IsNotAheadOnceCallbacksTakeLong(t *testing.T) {
	onFakeTime(t, wheel.Config{MaxCallbacks: 1}, func(t *testing.T, w *wheel.Wheel) {
		const n, quick, chunk = 2000, 1000, 128
		ran, most := 0, int64(0)
		st := newSettlement(w, n, 64, func(st *settlement, _ int) {
			if ran++; ran > quick {
				time.Sleep(10 * time.Millisecond)
			}
			if ran > quick+2*chunk {
				most = max(most, st.ahead.Load())
			}
		})
		sleep(time.Hour)
		require.Equal(t, n, ran)
		require.Greater(t, st.most.Load(), int64(chunk/2), "nothing was settled ahead: nothing was shown")
		require.Zero(t, most)
	})
}
