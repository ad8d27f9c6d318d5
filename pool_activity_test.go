package sessionwheel_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLastActiveIsTheLastTouchWhateverSetTheTimer goes through all that arms the
// timer for another reason than activity.
func TestLastActiveIsTheLastTouchWhateverSetTheTimer(t *testing.T) {
	hold, release := poolHold()
	closing := func(s *poolSession) { s.Close("Bye") }
	for _, tt := range []struct {
		name  string
		c     poolConfig
		steps []poolStep
		at    time.Duration // when LastActive is asked for
		want  time.Duration
	}{
		{name: "never touched", c: poolConfig{IdleTimeout: time.Minute}, at: time.Second},
		{
			name: "an idle timeout of its own", c: poolConfig{IdleTimeout: time.Minute},
			steps: []poolStep{{time.Second, poolTouch}, {3 * time.Second, poolSetIdle(time.Hour)}}, at: 5 * time.Second, want: time.Second,
		},
		{
			name: "touched under an idle timeout of its own", c: poolConfig{IdleTimeout: time.Minute},
			steps: []poolStep{{time.Second, poolSetIdle(time.Hour)}, {3 * time.Second, poolTouch}, {4 * time.Second, poolTouch}}, at: 5 * time.Second, want: 4 * time.Second,
		},
		{
			name: "no idle timeout", c: poolConfig{IdleTimeout: -1},
			steps: []poolStep{{time.Second, poolTouch}, {3 * time.Second, poolTouch}}, at: time.Hour, want: 3 * time.Second,
		},
		{
			name: "pinned beyond the idle timeout", c: poolConfig{IdleTimeout: time.Minute},
			steps: []poolStep{{time.Second, poolTouch}, {2 * time.Second, poolPin}}, at: time.Hour, want: time.Second,
		},
		{
			name: "touched while pinned beyond it", c: poolConfig{IdleTimeout: time.Minute},
			steps: []poolStep{{time.Second, poolPin}, {90 * time.Second, poolTouch}}, at: time.Hour, want: 90 * time.Second,
		},
		{
			name: "a release is activity", c: poolConfig{IdleTimeout: time.Hour},
			steps: []poolStep{{time.Second, hold}, {2 * time.Second, release}}, at: time.Minute, want: 2 * time.Second,
		},
		{
			name: "near the end of its lifetime", c: poolConfig{IdleTimeout: time.Minute, MaxLifetime: 90 * time.Second},
			steps: []poolStep{{20 * time.Second, poolTouch}, {50 * time.Second, poolTouch}, {60 * time.Second, poolTouch}}, at: 80 * time.Second, want: 60 * time.Second,
		},
		{
			name: "over by its lifetime", c: poolConfig{IdleTimeout: time.Minute, MaxLifetime: 90 * time.Second},
			steps: []poolStep{{50 * time.Second, poolTouch}}, at: time.Hour, want: 50 * time.Second,
		},
		{
			name: "timed out", c: poolConfig{IdleTimeout: time.Minute},
			steps: []poolStep{{50 * time.Second, poolTouch}}, at: time.Hour, want: 50 * time.Second,
		},
		{
			name: "closed, and touched in vain", c: poolConfig{IdleTimeout: time.Minute},
			steps: []poolStep{{10 * time.Second, poolTouch}, {20 * time.Second, closing}, {30 * time.Second, poolTouch}}, at: time.Hour, want: 10 * time.Second,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			poolBubble(t, func(t *testing.T) {
				start := time.Now()
				s := poolRegister(t, poolNew(t, tt.c), 1)
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

// TestATouchAndANewIdleTimeoutAtTheSameMomentAgree has the two meet again and
// again. Whoever is quicker, the session lives for the idle timeout that was set
// last, counted from the last of the two.
func TestATouchAndANewIdleTimeoutAtTheSameMomentAgree(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		const sessions, long, short = 3000, time.Hour, time.Minute
		p := poolNew(t, poolConfig{IdleTimeout: long})
		var refused, early, late atomic.Int64
		var begun time.Time
		all := make([]*poolSession, sessions)
		for i := range all {
			all[i] = poolRegister(t, p, i)
		}
		time.Sleep(time.Second)
		begun = time.Now()
		poolAbreast(sessions, func(i, side int) {
			switch s := all[i]; side {
			case 0:
				s.SetIdleTimeout(short)
			default:
				if !s.Touch() {
					refused.Add(1)
				}
			}
		})
		for _, s := range all {
			if s.LastActive() != begun {
				early.Add(1)
			}
		}
		require.Zero(t, refused.Load(), "touches of open sessions")
		require.Zero(t, early.Load(), "sessions whose LastActive is not the touch")
		time.Sleep(short - time.Millisecond)
		synctest.Wait()
		require.Equal(t, sessions, p.Len(), "none is early")
		time.Sleep(time.Millisecond + 2*poolTick)
		synctest.Wait()
		for _, s := range all {
			if s.Reason() == "" {
				late.Add(1)
			}
		}
		require.Zero(t, late.Load(), "sessions that kept the old idle timeout")
	})
}

// TestATouchAndACloseAtTheSameMomentAgreeOnLastActive: a Touch that reported
// true is the last activity also of a session that is closed in that moment.
func TestATouchAndACloseAtTheSameMomentAgreeOnLastActive(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		const sessions = 3000
		p := poolNew(t, poolConfig{IdleTimeout: time.Hour})
		start := time.Now()
		all := make([]*poolSession, sessions)
		for i := range all {
			all[i] = poolRegister(t, p, i)
		}
		time.Sleep(time.Second)
		touched := make([]bool, sessions)
		poolAbreast(sessions, func(i, side int) {
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

// TestATouchIsNotTakenBackByOneThatBeganEarlier has several touch a session whose
// touches all take the lock, in any order: so little is left of its lifetime.
func TestATouchIsNotTakenBackByOneThatBeganEarlier(t *testing.T) {
	p := poolNew(t, poolConfig{IdleTimeout: 2 * time.Hour, MaxLifetime: time.Hour})
	s := poolRegister(t, p, 1)
	var lost, refused atomic.Int64
	poolTogether(4, func(int) {
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
