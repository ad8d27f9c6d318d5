package sessionwheel_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestASessionEndsAtItsDeadline holds what Deadline says against what happens.
func TestASessionEndsAtItsDeadline(t *testing.T) {
	const never = time.Duration(0)
	hold, release := poolHold()
	onIdle := func(*poolSession) {}
	for _, tt := range []struct {
		name  string
		c     poolConfig
		steps []poolStep
		at    time.Duration // when Deadline is asked for
		want  time.Duration // since the start
	}{
		{name: "never touched", c: poolConfig{IdleTimeout: time.Minute}, at: time.Second, want: time.Minute},
		{name: "touched", c: poolConfig{IdleTimeout: time.Minute}, steps: []poolStep{{10 * time.Second, poolTouch}}, at: 20 * time.Second, want: 70 * time.Second},
		{
			name: "an idle timeout of its own", c: poolConfig{IdleTimeout: time.Minute},
			steps: []poolStep{{time.Second, poolTouch}, {3 * time.Second, poolSetIdle(time.Hour)}}, at: 5 * time.Second, want: time.Hour + 3*time.Second,
		},
		{name: "no idle timeout", c: poolConfig{IdleTimeout: -1}, at: time.Hour, want: never},
		{name: "a lifetime alone", c: poolConfig{IdleTimeout: -1, MaxLifetime: 2 * time.Hour}, at: time.Hour, want: 2 * time.Hour},
		{
			name: "a lifetime that ends first", c: poolConfig{IdleTimeout: time.Minute, MaxLifetime: 90 * time.Second},
			steps: []poolStep{{40 * time.Second, poolTouch}}, at: 50 * time.Second, want: 90 * time.Second,
		},
		{
			name: "a lifetime that ends later", c: poolConfig{IdleTimeout: time.Minute, MaxLifetime: 90 * time.Second},
			steps: []poolStep{{20 * time.Second, poolTouch}}, at: 50 * time.Second, want: 80 * time.Second,
		},
		{name: "before the warning", c: poolConfig{IdleTimeout: time.Minute, OnIdle: onIdle}, at: 10 * time.Second, want: time.Minute},
		{name: "after the warning", c: poolConfig{IdleTimeout: time.Minute, OnIdle: onIdle}, at: 50 * time.Second, want: time.Minute},
		{
			name: "a short warning", c: poolConfig{IdleTimeout: time.Minute, OnIdle: onIdle, IdleWarning: time.Second},
			steps: []poolStep{{30 * time.Second, poolTouch}}, at: 50 * time.Second, want: 90 * time.Second,
		},
		{
			name: "touched after the warning", c: poolConfig{IdleTimeout: time.Minute, OnIdle: onIdle},
			steps: []poolStep{{40 * time.Second, poolTouch}}, at: 50 * time.Second, want: 100 * time.Second,
		},
		{
			name: "a lifetime that ends before the warned timeout", c: poolConfig{IdleTimeout: time.Minute, MaxLifetime: 45 * time.Second, OnIdle: onIdle},
			at: 10 * time.Second, want: 45 * time.Second,
		},
		{name: "held", c: poolConfig{IdleTimeout: time.Minute}, steps: []poolStep{{time.Second, hold}}, at: 2 * time.Second, want: never},
		{name: "held past its timeout", c: poolConfig{IdleTimeout: time.Minute}, steps: []poolStep{{time.Second, poolPin}}, at: time.Hour, want: never},
		{
			name: "held until its lifetime ends", c: poolConfig{IdleTimeout: time.Minute, MaxLifetime: time.Hour},
			steps: []poolStep{{time.Second, poolPin}}, at: 30 * time.Minute, want: time.Hour,
		},
		{
			name: "held and released", c: poolConfig{IdleTimeout: time.Minute},
			steps: []poolStep{{time.Second, hold}, {2 * time.Second, release}}, at: 3 * time.Second, want: 62 * time.Second,
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
				at, ok := s.Deadline()
				require.Equal(t, tt.want != never, ok)
				if !ok {
					time.Sleep(3 * time.Hour)
					synctest.Wait()
					require.Empty(t, s.Reason())
					return
				}
				require.Equal(t, tt.want, at.Sub(start))
				time.Sleep(time.Until(at) - 1)
				require.Empty(t, s.Reason(), "before its deadline")
				time.Sleep(1 + 2*poolTick)
				synctest.Wait()
				require.NotEmpty(t, s.Reason(), "after its deadline")
				_, ok = s.Deadline()
				require.False(t, ok, "closed")
			})
		})
	}
}
