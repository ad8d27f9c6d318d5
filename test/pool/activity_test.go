package pool_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// It goes through everything that arms the timer without being activity.
func TestLastActive_IsTheLastTouchWhateverSetTheTimer(t *testing.T) {
	hold, release := holdSteps()
	closing := func(s *testSession) { s.Close("Bye") }
	for _, tt := range []struct {
		name  string
		c     testConfig
		steps []timedStep
		at    time.Duration // when LastActive is asked for
		want  time.Duration
	}{
		{name: "never touched", c: testConfig{IdleTimeout: time.Minute}, at: time.Second},
		{
			name: "an idle timeout of its own", c: testConfig{IdleTimeout: time.Minute},
			steps: []timedStep{{time.Second, touchStep}, {3 * time.Second, setIdleStep(time.Hour)}}, at: 5 * time.Second, want: time.Second,
		},
		{
			name: "touched under an idle timeout of its own", c: testConfig{IdleTimeout: time.Minute},
			steps: []timedStep{{time.Second, setIdleStep(time.Hour)}, {3 * time.Second, touchStep}, {4 * time.Second, touchStep}}, at: 5 * time.Second, want: 4 * time.Second,
		},
		{
			name: "no idle timeout", c: testConfig{IdleTimeout: -1},
			steps: []timedStep{{time.Second, touchStep}, {3 * time.Second, touchStep}}, at: time.Hour, want: 3 * time.Second,
		},
		{
			name: "pinned beyond the idle timeout", c: testConfig{IdleTimeout: time.Minute},
			steps: []timedStep{{time.Second, touchStep}, {2 * time.Second, pinStep}}, at: time.Hour, want: time.Second,
		},
		{
			name: "touched while pinned beyond it", c: testConfig{IdleTimeout: time.Minute},
			steps: []timedStep{{time.Second, pinStep}, {90 * time.Second, touchStep}}, at: time.Hour, want: 90 * time.Second,
		},
		{
			name: "a release is activity", c: testConfig{IdleTimeout: time.Hour},
			steps: []timedStep{{time.Second, hold}, {2 * time.Second, release}}, at: time.Minute, want: 2 * time.Second,
		},
		{
			name: "near the end of its lifetime", c: testConfig{IdleTimeout: time.Minute, MaxLifetime: 90 * time.Second},
			steps: []timedStep{{20 * time.Second, touchStep}, {50 * time.Second, touchStep}, {60 * time.Second, touchStep}}, at: 80 * time.Second, want: 60 * time.Second,
		},
		{
			name: "over by its lifetime", c: testConfig{IdleTimeout: time.Minute, MaxLifetime: 90 * time.Second},
			steps: []timedStep{{50 * time.Second, touchStep}}, at: time.Hour, want: 50 * time.Second,
		},
		{
			name: "timed out", c: testConfig{IdleTimeout: time.Minute},
			steps: []timedStep{{50 * time.Second, touchStep}}, at: time.Hour, want: 50 * time.Second,
		},
		{
			name: "closed, and touched in vain", c: testConfig{IdleTimeout: time.Minute},
			steps: []timedStep{{10 * time.Second, touchStep}, {20 * time.Second, closing}, {30 * time.Second, touchStep}}, at: time.Hour, want: 10 * time.Second,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				start := time.Now()
				s := mustRegister(t, newPool(t, tt.c), 1)
				for _, step := range tt.steps {
					time.Sleep(time.Until(start.Add(step.at)))
					step.do(s)
				}
				time.Sleep(time.Until(start.Add(tt.at)))
				synctest.Wait()
				require.Equal(t, tt.want, s.LastActive().Sub(start))
			})
		})
	}
}

// The two happen at the same time again and again. Whichever is first, the session
// has the idle timeout that was set, counted from the later of the two.
func TestTouch_AndANewIdleTimeoutAtTheSameMomentAgree(t *testing.T) {
	over := enough()
	harness.Bubble(t, func(t *testing.T) {
		const sessions, long, short = 3000, time.Hour, time.Minute
		p := newPool(t, testConfig{IdleTimeout: long})
		var refused, early, late atomic.Int64
		var begun time.Time
		all := make([]*testSession, sessions)
		for i := range all {
			all[i] = mustRegister(t, p, i)
		}
		time.Sleep(time.Second)
		begun = time.Now()
		done := abreast(sessions, over, func(i, side int) {
			switch s := all[i]; side {
			case 0:
				s.SetIdleTimeout(short)
			default:
				if !s.Touch() {
					refused.Add(1)
				}
			}
		})
		for _, s := range all[:done] {
			if s.LastActive() != begun {
				early.Add(1)
			}
		}
		require.Zero(t, refused.Load(), "touches of open sessions")
		require.Zero(t, early.Load(), "sessions whose LastActive is not the touch")
		time.Sleep(short - time.Millisecond)
		synctest.Wait()
		require.Equal(t, sessions, p.Len(), "none is early")
		time.Sleep(time.Millisecond + 2*harness.Tick)
		synctest.Wait()
		for _, s := range all[:done] {
			if s.Reason() == "" {
				late.Add(1)
			}
		}
		require.Zero(t, late.Load(), "sessions that kept the old idle timeout")
	})
}

// A Touch that reported true is the last activity, even if the session is closed at
// the same moment.
func TestTouch_AndACloseAtTheSameMomentAgreeOnLastActive(t *testing.T) {
	over := enough()
	harness.Bubble(t, func(t *testing.T) {
		const sessions = 3000
		p := newPool(t, testConfig{IdleTimeout: time.Hour})
		start := time.Now()
		all := make([]*testSession, sessions)
		for i := range all {
			all[i] = mustRegister(t, p, i)
		}
		time.Sleep(time.Second)
		touched := make([]bool, sessions)
		abreast(sessions, over, func(i, side int) {
			if side == 0 {
				all[i].Close("Bye")
			} else {
				touched[i] = all[i].Touch()
			}
		})
		for i, s := range all {
			if touched[i] {
				require.Equal(t, time.Second, s.LastActive().Sub(start))
			}
		}
	})
}

// Several goroutines touch a session that has so little of its lifetime left that
// all touches take the lock, in any order.
func TestTouch_IsNotTakenBackByOneThatBeganEarlier(t *testing.T) {
	p := newPool(t, testConfig{IdleTimeout: 2 * time.Hour, MaxLifetime: time.Hour})
	s := mustRegister(t, p, 1)
	var lost, refused atomic.Int64
	together(4, func(int) {
		for range 10_000 {
			before := time.Now()
			if !s.Touch() {
				refused.Add(1)
			}
			if s.LastActive().Before(before) {
				lost.Add(1)
			}
		}
	})
	require.Zero(t, refused.Load())
	require.Zero(t, lost.Load(), "touches that were taken back")
}
