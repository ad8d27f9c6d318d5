package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// timedStep is an operation on a session, at a time since its registration.
type timedStep struct {
	at time.Duration
	do func(*testSession)
}

func touchStep(s *testSession) { s.Touch() }

func pinStep(s *testSession) { s.Pin() }

func unpinStep(s *testSession) { s.Unpin() }

func setIdleStep(d time.Duration) func(*testSession) {
	return func(s *testSession) { s.SetIdleTimeout(d) }
}

// holdSteps returns a step that holds the session and one that releases it.
func holdSteps() (hold, release func(*testSession)) {
	var r func()
	return func(s *testSession) { r = s.Hold() }, func(*testSession) { r() }
}

// timingCase is one session: the steps of its life, and how it ends.
type timingCase struct {
	name   string
	c      testConfig
	steps  []timedStep
	want   time.Duration // when the session ends
	reason pool.Reason   // "" is never
}

func runTimingCases(t *testing.T, cases []timingCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				start := time.Now()
				end := make(chan time.Duration, 1)
				tt.c.OnSessionClosed = func(*testSession, pool.Reason) { end <- time.Since(start) }
				p := newPool(t, tt.c)
				s := mustRegister(t, p, 1)
				for _, step := range tt.steps {
					time.Sleep(time.Until(start.Add(step.at)))
					step.do(s)
				}
				time.Sleep(6 * time.Hour)
				synctest.Wait()
				require.Equal(t, tt.reason, s.Reason())
				if tt.reason == "" {
					require.Equal(t, 1, p.Len())
					return
				}
				at := <-end
				require.GreaterOrEqual(t, at, tt.want, "early")
				require.LessOrEqual(t, at, tt.want+harness.Tick, "late")
			})
		})
	}
}

func TestIdleTimeout_ClosesASessionThatHasBeenIdle(t *testing.T) {
	runTimingCases(t, []timingCase{
		{
			name: "silent", c: testConfig{IdleTimeout: 10 * time.Second},
			want: 10 * time.Second, reason: pool.Timeout,
		},
		{
			name: "each touch re-arms", c: testConfig{IdleTimeout: 10 * time.Second},
			steps: []timedStep{{4 * time.Second, touchStep}, {9 * time.Second, touchStep}, {18 * time.Second, touchStep}},
			want:  28 * time.Second, reason: pool.Timeout,
		},
		{
			name: "a touch just in time", c: testConfig{IdleTimeout: 10 * time.Second},
			steps: []timedStep{{10*time.Second - 1, touchStep}},
			want:  20*time.Second - 1, reason: pool.Timeout,
		},
		{name: "default", want: 5 * time.Minute, reason: pool.Timeout},
		{name: "off", c: testConfig{IdleTimeout: -1}},
		{name: "off and touched", c: testConfig{IdleTimeout: -1}, steps: []timedStep{{time.Hour, touchStep}}},
		{
			name: "short, in a pool just made", c: testConfig{IdleTimeout: 30 * time.Millisecond},
			want: 30 * time.Millisecond, reason: pool.Timeout,
		},
		{
			name: "shorter than a tick", c: testConfig{IdleTimeout: 1},
			want: 1, reason: pool.Timeout,
		},
		{
			name: "longest", c: testConfig{IdleTimeout: 1<<63 - 1},
			steps: []timedStep{{time.Hour, touchStep}},
		},
	})
}

func TestLifetime_EndsHoweverActiveTheSession(t *testing.T) {
	hold, release := holdSteps()
	c := testConfig{IdleTimeout: 10 * time.Second, MaxLifetime: 25 * time.Second}
	runTimingCases(t, []timingCase{
		{name: "idle comes first", c: c, want: 10 * time.Second, reason: pool.Timeout},
		{
			name: "active", c: c,
			steps: []timedStep{{8 * time.Second, touchStep}, {16 * time.Second, touchStep}, {24 * time.Second, touchStep}},
			want:  25 * time.Second, reason: pool.Lifetime,
		},
		{
			name: "idle comes first after activity", c: c,
			steps: []timedStep{{8 * time.Second, touchStep}, {14 * time.Second, touchStep}},
			want:  24 * time.Second, reason: pool.Timeout,
		},
		{
			name: "idle comes first within a tick", c: testConfig{IdleTimeout: 1001 * time.Millisecond, MaxLifetime: 1005 * time.Millisecond},
			want: 1001 * time.Millisecond, reason: pool.Timeout,
		},
		{
			name: "idle comes second within a tick", c: testConfig{IdleTimeout: 1005 * time.Millisecond, MaxLifetime: 1001 * time.Millisecond},
			want: 1001 * time.Millisecond, reason: pool.Lifetime,
		},
		{
			name: "idle timeout off", c: testConfig{IdleTimeout: -1, MaxLifetime: 25 * time.Second},
			want: 25 * time.Second, reason: pool.Lifetime,
		},
		{
			name: "an idle timeout that reaches beyond it", c: c,
			steps: []timedStep{{8 * time.Second, touchStep}, {9 * time.Second, setIdleStep(20 * time.Second)}},
			want:  25 * time.Second, reason: pool.Lifetime,
		},
		{
			name: "an idle timeout that does not reach it", c: c,
			steps: []timedStep{{8 * time.Second, touchStep}, {16 * time.Second, setIdleStep(12 * time.Second)}},
			want:  20 * time.Second, reason: pool.Timeout,
		},
		{
			name: "an idle timeout switched off", c: c,
			steps: []timedStep{{8 * time.Second, setIdleStep(-1)}},
			want:  25 * time.Second, reason: pool.Lifetime,
		},
		{
			name: "held for less than the idle timeout", c: c,
			steps: []timedStep{{8 * time.Second, touchStep}, {16 * time.Second, hold}, {17 * time.Second, release}},
			want:  25 * time.Second, reason: pool.Lifetime,
		},
		{
			name: "held at its end", c: testConfig{IdleTimeout: 30 * time.Second, MaxLifetime: 25 * time.Second},
			steps: []timedStep{{time.Second, hold}},
			want:  25 * time.Second, reason: pool.Lifetime,
		},
	})
}

// On real time, since a pool that re-armed a session whose lifetime is over would
// spin.
func TestLifetime_EndsWhileTheSessionIsHeldBeyondItsIdleTimeout(t *testing.T) {
	t.Parallel() // it waits for a time limit
	p := newPool(t, testConfig{IdleTimeout: 100 * time.Millisecond, MaxLifetime: 650 * time.Millisecond})
	s := mustRegister(t, p, 1)
	defer s.Hold()()
	select {
	case <-s.Done():
	case <-time.After(20 * time.Second):
	}
	require.Equal(t, pool.Lifetime, s.Reason())
	require.GreaterOrEqual(t, time.Since(s.RegisteredAt()), 650*time.Millisecond)
}

func TestSetIdleTimeout_CountsFromTheLastActivity(t *testing.T) {
	c := testConfig{IdleTimeout: 10 * time.Second}
	runTimingCases(t, []timingCase{
		{
			name: "shorter", c: c,
			steps: []timedStep{{4 * time.Second, setIdleStep(6 * time.Second)}},
			want:  6 * time.Second, reason: pool.Timeout,
		},
		{
			name: "shorter than it has been idle", c: c,
			steps: []timedStep{{4 * time.Second, setIdleStep(2 * time.Second)}},
			want:  4 * time.Second, reason: pool.Timeout,
		},
		{
			name: "the same", c: c,
			steps: []timedStep{{4 * time.Second, setIdleStep(10 * time.Second)}},
			want:  10 * time.Second, reason: pool.Timeout,
		},
		{
			name: "shorter and touched", c: c,
			steps: []timedStep{{4 * time.Second, setIdleStep(6 * time.Second)}, {5 * time.Second, touchStep}},
			want:  11 * time.Second, reason: pool.Timeout,
		},
		{
			name: "longer", c: c,
			steps: []timedStep{{4 * time.Second, setIdleStep(time.Minute)}},
			want:  60 * time.Second, reason: pool.Timeout,
		},
		{
			name: "longer and touched", c: c,
			steps: []timedStep{{4 * time.Second, setIdleStep(time.Minute)}, {50 * time.Second, touchStep}},
			want:  110 * time.Second, reason: pool.Timeout,
		},
		{
			name: "0 is the pool's", c: c,
			steps: []timedStep{{4 * time.Second, setIdleStep(time.Minute)}, {9 * time.Second, setIdleStep(0)}},
			want:  10 * time.Second, reason: pool.Timeout,
		},
		{
			name: "0 is the pool's default", steps: []timedStep{{time.Second, setIdleStep(2 * time.Second)}, {1500 * time.Millisecond, setIdleStep(0)}},
			want: 5 * time.Minute, reason: pool.Timeout,
		},
		{
			name: "0 is the pool's never", c: testConfig{IdleTimeout: -1},
			steps: []timedStep{{0, setIdleStep(10 * time.Second)}, {5 * time.Second, setIdleStep(0)}},
		},
		{
			name: "negative is never", c: c,
			steps: []timedStep{{4 * time.Second, setIdleStep(-time.Second)}, {time.Hour, touchStep}},
		},
		{
			name: "never and back", c: c,
			steps: []timedStep{{4 * time.Second, setIdleStep(-1)}, {time.Hour, setIdleStep(time.Hour + time.Second)}},
			want:  time.Hour + time.Second, reason: pool.Timeout,
		},
		{
			name: "shorter while held", c: c,
			steps: []timedStep{{time.Second, pinStep}, {2 * time.Second, setIdleStep(time.Second)}, {9500 * time.Millisecond, unpinStep}},
			want:  10500 * time.Millisecond, reason: pool.Timeout,
		},
	})
}

// closedSession returns a session that is closed, and the wheel of its pool.
func closedSession(t *testing.T) (*wheel.Wheel, *testSession) {
	w := harness.NewWheel(t, wheel.Config{})
	s := mustRegister(t, newPool(t, testConfig{Wheel: w}), 1)
	s.Close("Bye")
	return w, s
}

func TestSetIdleTimeout_OnAClosedSessionDoesNothing(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		w, s := closedSession(t)
		s.SetIdleTimeout(time.Second)
		require.Zero(t, w.Len())
	})
}

func TestHold_KeepsTheSessionFromTimingOutUntilAllAreReleased(t *testing.T) {
	hold, release := holdSteps()
	hold2, release2 := holdSteps()
	c := testConfig{IdleTimeout: 10 * time.Second}
	runTimingCases(t, []timingCase{
		{name: "never released", c: c, steps: []timedStep{{time.Second, hold}}},
		{
			name: "the release is activity", c: c,
			steps: []timedStep{{time.Second, hold}, {5 * time.Second, release}},
			want:  15 * time.Second, reason: pool.Timeout,
		},
		{
			name: "for longer than the idle timeout", c: c,
			steps: []timedStep{{time.Second, hold}, {35 * time.Second, release}},
			want:  45 * time.Second, reason: pool.Timeout,
		},
		{
			name: "nested, the first released first", c: c,
			steps: []timedStep{{1 * time.Second, hold}, {2 * time.Second, hold2}, {15 * time.Second, release}, {39 * time.Second, release2}},
			want:  49 * time.Second, reason: pool.Timeout,
		},
		{
			name: "nested, the last released first", c: c,
			steps: []timedStep{{1 * time.Second, hold}, {2 * time.Second, hold2}, {15 * time.Second, release2}, {39 * time.Second, release}},
			want:  49 * time.Second, reason: pool.Timeout,
		},
		{
			name: "released twice", c: c,
			steps: []timedStep{{1 * time.Second, hold}, {2 * time.Second, hold2}, {3 * time.Second, release}, {4 * time.Second, release}, {39 * time.Second, release2}},
			want:  49 * time.Second, reason: pool.Timeout,
		},
		{
			name: "a second release is no activity", c: c,
			steps: []timedStep{{1 * time.Second, hold}, {2 * time.Second, release}, {8 * time.Second, release}},
			want:  12 * time.Second, reason: pool.Timeout,
		},
		{
			name: "held again", c: c,
			steps: []timedStep{{1 * time.Second, hold}, {15 * time.Second, release}, {16 * time.Second, hold2}, {60 * time.Second, release2}},
			want:  70 * time.Second, reason: pool.Timeout,
		},
		{
			name: "touched meanwhile", c: c,
			steps: []timedStep{{1 * time.Second, hold}, {15 * time.Second, touchStep}, {17 * time.Second, release}},
			want:  27 * time.Second, reason: pool.Timeout,
		},
		{
			name: "closed all the same", c: c,
			steps: []timedStep{{1 * time.Second, hold}, {15 * time.Second, func(s *testSession) { s.Close("Bye") }}, {17 * time.Second, release}},
			want:  15 * time.Second, reason: "Bye",
		},
	})
}

func TestPin_KeepsTheSessionFromTimingOut(t *testing.T) {
	c := testConfig{IdleTimeout: 10 * time.Second}
	runTimingCases(t, []timingCase{
		{name: "never unpinned", c: c, steps: []timedStep{{time.Second, pinStep}}},
		{
			name: "Unpin is no activity", c: c,
			steps: []timedStep{{time.Second, pinStep}, {5 * time.Second, unpinStep}},
			want:  10 * time.Second, reason: pool.Timeout,
		},
		{
			name: "for longer than the idle timeout", c: c,
			steps: []timedStep{{time.Second, pinStep}, {15 * time.Second, unpinStep}},
			want:  25 * time.Second, reason: pool.Timeout,
		},
		{
			name: "for much longer than the idle timeout", c: c,
			steps: []timedStep{{time.Second, pinStep}, {9999 * time.Second, unpinStep}},
			want:  10009 * time.Second, reason: pool.Timeout,
		},
		{
			name: "nested", c: c,
			steps: []timedStep{{time.Second, pinStep}, {2 * time.Second, pinStep}, {15 * time.Second, unpinStep}, {36 * time.Second, unpinStep}},
			want:  46 * time.Second, reason: pool.Timeout,
		},
		{
			name: "pinned again", c: c,
			steps: []timedStep{{time.Second, pinStep}, {15 * time.Second, unpinStep}, {16 * time.Second, pinStep}, {17 * time.Second, unpinStep}},
			want:  25 * time.Second, reason: pool.Timeout,
		},
		{
			name: "unpinned before a longer idle timeout is over", c: c,
			steps: []timedStep{{8 * time.Second, setIdleStep(18 * time.Second)}, {9 * time.Second, pinStep}, {12 * time.Second, unpinStep}},
			want:  18 * time.Second, reason: pool.Timeout,
		},
		{
			// The slot of a timer due at 1.001s comes up at 1.010s.
			name: "unpinned between the idle timeout and the tick that would show it", c: testConfig{IdleTimeout: 1001 * time.Millisecond},
			steps: []timedStep{{time.Millisecond, pinStep}, {1005 * time.Millisecond, unpinStep}},
			want:  2006 * time.Millisecond, reason: pool.Timeout,
		},
	})
}

func TestUnpinAndExpire_GivesAnIdleSessionNoMoreTime(t *testing.T) {
	c := testConfig{IdleTimeout: 10 * time.Second}
	strict := func(s *testSession) { s.UnpinAndExpire() }
	runTimingCases(t, []timingCase{
		{
			name: "before the idle timeout", c: c,
			steps: []timedStep{{time.Second, pinStep}, {5 * time.Second, strict}},
			want:  10 * time.Second, reason: pool.Timeout,
		},
		{
			name: "after it", c: c,
			steps: []timedStep{{time.Second, pinStep}, {15 * time.Second, strict}},
			want:  15 * time.Second, reason: pool.Timeout,
		},
		{
			name: "after a touch", c: c,
			steps: []timedStep{{time.Second, pinStep}, {15 * time.Second, touchStep}, {16 * time.Second, strict}},
			want:  25 * time.Second, reason: pool.Timeout,
		},
		{
			name: "nested", c: c,
			steps: []timedStep{{time.Second, pinStep}, {2 * time.Second, pinStep}, {15 * time.Second, strict}, {36 * time.Second, strict}},
			want:  36 * time.Second, reason: pool.Timeout,
		},
		{
			name: "of a session that is held", c: c,
			steps: []timedStep{
				{time.Second, pinStep},
				{2 * time.Second, func(s *testSession) { time.AfterFunc(18*time.Second, s.Hold()) }},
				{15 * time.Second, strict},
			},
			want: 30 * time.Second, reason: pool.Timeout,
		},
		{
			name: "at once pinned again", c: c,
			steps: []timedStep{{time.Second, pinStep}, {15 * time.Second, func(s *testSession) { s.UnpinAndExpire(); s.Pin() }}},
			want:  15 * time.Second, reason: pool.Timeout,
		},
	})
}

func TestUnpinAndExpire_CallsOnIdleBeforeItCloses(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		warned := make(chan *testSession, 1)
		p := newPool(t, testConfig{IdleTimeout: 10 * time.Second, IdleWarning: 2 * time.Second, OnIdle: func(s *testSession) { warned <- s }})
		s := mustRegister(t, p, 1)
		s.Pin()
		time.Sleep(time.Minute)
		s.UnpinAndExpire()
		require.Same(t, s, <-warned)
		require.Empty(t, s.Reason())
		began := time.Now()
		<-s.Done()
		require.Equal(t, pool.Timeout, s.Reason())
		require.InDelta(t, 2, time.Since(began).Seconds(), 0.1)
	})
}

func TestUnpin_WithoutAPinPanics(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		s := mustRegister(t, newPool(t, testConfig{IdleTimeout: time.Second}), 1)
		require.Panics(t, s.Unpin)
		require.Panics(t, s.UnpinAndExpire)
	})
	harness.Bubble(t, func(t *testing.T) {
		s := mustRegister(t, newPool(t, testConfig{IdleTimeout: time.Second}), 1)
		s.Pin()
		time.Sleep(time.Minute)
		s.Unpin()
		require.Panics(t, s.Unpin)
	})
}

func TestLastActive_IsTheLastTouch(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{IdleTimeout: time.Minute})
		time.Sleep(7 * time.Second)
		start := time.Now()
		s := mustRegister(t, p, 1)
		require.Equal(t, start, s.RegisteredAt())
		require.Equal(t, start, s.LastActive())
		time.Sleep(3 * time.Second)
		s.Pin()
		s.Unpin()
		s.SetIdleTimeout(30 * time.Second)
		require.Equal(t, start, s.LastActive(), "neither is activity")
		require.True(t, s.Touch())
		active := start.Add(3 * time.Second)
		require.Equal(t, active, s.LastActive())
		time.Sleep(20 * time.Second)
		require.Equal(t, active, s.LastActive())
		s.Close("Bye")
		require.False(t, s.Touch())
		require.Equal(t, active, s.LastActive())
		require.Equal(t, start, s.RegisteredAt())
	})
}
