package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// It compares what Deadline reports with what happens.
func TestDeadline_IsWhenTheSessionEnds(t *testing.T) {
	const never = time.Duration(0)
	hold, release := holdSteps()
	onIdle := func(*testSession) {}
	for _, tt := range []struct {
		name  string
		c     testConfig
		steps []timedStep
		at    time.Duration // when Deadline is asked for
		want  time.Duration // since the start
	}{
		{name: "never touched", c: testConfig{IdleTimeout: time.Minute}, at: time.Second, want: time.Minute},
		{name: "touched", c: testConfig{IdleTimeout: time.Minute}, steps: []timedStep{{10 * time.Second, touchStep}}, at: 20 * time.Second, want: 70 * time.Second},
		{
			name: "an idle timeout of its own", c: testConfig{IdleTimeout: time.Minute},
			steps: []timedStep{{time.Second, touchStep}, {3 * time.Second, setIdleStep(time.Hour)}}, at: 5 * time.Second, want: time.Hour + time.Second,
		},
		{name: "no idle timeout", c: testConfig{IdleTimeout: -1}, at: time.Hour, want: never},
		{name: "a lifetime alone", c: testConfig{IdleTimeout: -1, MaxLifetime: 2 * time.Hour}, at: time.Hour, want: 2 * time.Hour},
		{
			name: "a lifetime that ends first", c: testConfig{IdleTimeout: time.Minute, MaxLifetime: 90 * time.Second},
			steps: []timedStep{{40 * time.Second, touchStep}}, at: 50 * time.Second, want: 90 * time.Second,
		},
		{
			name: "a lifetime that ends later", c: testConfig{IdleTimeout: time.Minute, MaxLifetime: 90 * time.Second},
			steps: []timedStep{{20 * time.Second, touchStep}}, at: 50 * time.Second, want: 80 * time.Second,
		},
		{name: "before the warning", c: testConfig{IdleTimeout: time.Minute, OnIdle: onIdle}, at: 10 * time.Second, want: time.Minute},
		{name: "after the warning", c: testConfig{IdleTimeout: time.Minute, OnIdle: onIdle}, at: 50 * time.Second, want: time.Minute},
		{
			name: "a short warning", c: testConfig{IdleTimeout: time.Minute, OnIdle: onIdle, IdleWarning: time.Second},
			steps: []timedStep{{30 * time.Second, touchStep}}, at: 50 * time.Second, want: 90 * time.Second,
		},
		{
			name: "touched after the warning", c: testConfig{IdleTimeout: time.Minute, OnIdle: onIdle},
			steps: []timedStep{{40 * time.Second, touchStep}}, at: 50 * time.Second, want: 100 * time.Second,
		},
		{
			name: "a lifetime that ends before the warned timeout", c: testConfig{IdleTimeout: time.Minute, MaxLifetime: 45 * time.Second, OnIdle: onIdle},
			at: 10 * time.Second, want: 45 * time.Second,
		},
		{name: "held", c: testConfig{IdleTimeout: time.Minute}, steps: []timedStep{{time.Second, hold}}, at: 2 * time.Second, want: never},
		{name: "held past its timeout", c: testConfig{IdleTimeout: time.Minute}, steps: []timedStep{{time.Second, pinStep}}, at: time.Hour, want: never},
		{
			name: "held until its lifetime ends", c: testConfig{IdleTimeout: time.Minute, MaxLifetime: time.Hour},
			steps: []timedStep{{time.Second, pinStep}}, at: 30 * time.Minute, want: time.Hour,
		},
		{
			name: "held and released", c: testConfig{IdleTimeout: time.Minute},
			steps: []timedStep{{time.Second, hold}, {2 * time.Second, release}}, at: 3 * time.Second, want: 62 * time.Second,
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
				time.Sleep(1 + 2*harness.Tick)
				synctest.Wait()
				require.NotEmpty(t, s.Reason(), "after its deadline")
				_, ok = s.Deadline()
				require.False(t, ok, "closed")
			})
		})
	}
}
