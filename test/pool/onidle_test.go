package pool_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestOnIdle_IsCalledOnceForEachStretchOfIdleness(t *testing.T) {
	hold, release := holdSteps()
	seconds := func(ns ...int) (ds []time.Duration) {
		for _, n := range ns {
			ds = append(ds, time.Duration(n)*time.Second)
		}
		return ds
	}
	for _, tt := range []struct {
		name    string
		idle    time.Duration
		warning time.Duration
		life    time.Duration
		steps   []timedStep
		told    []time.Duration // when OnIdle was called
		end     time.Duration   // 0: never
		reason  pool.Reason
	}{
		{name: "a warning", idle: 60 * time.Second, warning: 20 * time.Second, told: seconds(40), end: 60 * time.Second, reason: pool.Timeout},
		{name: "half by default", idle: 60 * time.Second, told: seconds(30), end: 60 * time.Second, reason: pool.Timeout},
		{name: "half at most", idle: 60 * time.Second, warning: time.Hour, told: seconds(30), end: 60 * time.Second, reason: pool.Timeout},
		{
			name: "a touch after it begins anew", idle: 60 * time.Second, warning: 20 * time.Second,
			steps: []timedStep{{10 * time.Second, touchStep}, {55 * time.Second, touchStep}, {60 * time.Second, touchStep}},
			told:  seconds(50, 100), end: 120 * time.Second, reason: pool.Timeout,
		},
		{
			name: "an idle timeout of its own", idle: time.Hour, warning: 20 * time.Second,
			steps: []timedStep{{10 * time.Second, setIdleStep(60 * time.Second)}}, told: seconds(40), end: 60 * time.Second, reason: pool.Timeout,
		},
		{
			name: "a short one of its own", idle: time.Hour, warning: 20 * time.Second,
			steps: []timedStep{{10 * time.Second, setIdleStep(30 * time.Second)}}, told: seconds(15), end: 30 * time.Second, reason: pool.Timeout,
		},
		{
			name: "the same idle timeout after it", idle: 60 * time.Second, warning: 20 * time.Second,
			steps: []timedStep{{50 * time.Second, setIdleStep(60 * time.Second)}}, told: seconds(40), end: 60 * time.Second, reason: pool.Timeout,
		},
		{
			name: "a longer idle timeout after it", idle: 60 * time.Second, warning: 20 * time.Second,
			steps: []timedStep{{50 * time.Second, setIdleStep(90 * time.Second)}}, told: seconds(40, 70), end: 90 * time.Second, reason: pool.Timeout,
		},
		{
			name: "a shorter idle timeout after it", idle: 60 * time.Second, warning: 20 * time.Second,
			steps: []timedStep{{45 * time.Second, setIdleStep(50 * time.Second)}}, told: seconds(40), end: 60 * time.Second, reason: pool.Timeout,
		},
		{
			name: "one that is over already after it", idle: 100 * time.Second,
			steps: []timedStep{{65 * time.Second, setIdleStep(20 * time.Second)}}, told: seconds(50), end: 65 * time.Second, reason: pool.Timeout,
		},
		{
			name: "an idle timeout that is over already", idle: time.Hour, warning: 20 * time.Second,
			steps: []timedStep{{100 * time.Second, setIdleStep(60 * time.Second)}}, told: seconds(100), end: 120 * time.Second, reason: pool.Timeout,
		},
		{name: "no warning", idle: 60 * time.Second, warning: -1, end: 60 * time.Second, reason: pool.Timeout},
		{name: "never idle", idle: -1, warning: 20 * time.Second},
		{
			name: "held", idle: 60 * time.Second, warning: 20 * time.Second,
			steps: []timedStep{{10 * time.Second, hold}, {200 * time.Second, release}}, told: seconds(240), end: 260 * time.Second, reason: pool.Timeout,
		},
		{
			name: "held after it", idle: 60 * time.Second, warning: 20 * time.Second,
			steps: []timedStep{{50 * time.Second, hold}, {200 * time.Second, release}}, told: seconds(40, 240), end: 260 * time.Second, reason: pool.Timeout,
		},
		{
			name: "pinned at its time", idle: 60 * time.Second, warning: 20 * time.Second,
			steps: []timedStep{{30 * time.Second, pinStep}, {45 * time.Second, unpinStep}}, told: seconds(85), end: 105 * time.Second, reason: pool.Timeout,
		},
		{name: "the lifetime is over first", idle: 60 * time.Second, life: 20 * time.Second, end: 20 * time.Second, reason: pool.Lifetime},
		{name: "the lifetime ends the warning", idle: 60 * time.Second, life: 50 * time.Second, told: seconds(30), end: 50 * time.Second, reason: pool.Lifetime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				start := time.Now()
				var mu sync.Mutex
				var told []time.Duration
				var end time.Duration
				s := mustRegister(t, newPool(t, testConfig{
					IdleTimeout: tt.idle, IdleWarning: tt.warning, MaxLifetime: tt.life,
					OnIdle: func(*testSession) {
						mu.Lock()
						defer mu.Unlock()
						told = append(told, time.Since(start))
					},
					OnSessionClosed: func(*testSession, pool.Reason) {
						mu.Lock()
						defer mu.Unlock()
						end = time.Since(start)
					},
				}), 1)
				for _, step := range tt.steps {
					time.Sleep(time.Until(start.Add(step.at)))
					step.do(s)
				}
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				require.Equal(t, tt.told, told)
				require.Equal(t, tt.reason, s.Reason())
				require.Equal(t, tt.end, end)
			})
		})
	}
}

func TestOnIdle_MayKeepASessionOpenByATouch(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var told atomic.Int64
		s := mustRegister(t, newPool(t, testConfig{
			IdleTimeout: time.Minute,
			OnIdle:      func(s *testSession) { told.Add(1); s.Touch() },
		}), 1)
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		require.Equal(t, int64(120), told.Load())
		require.Empty(t, s.Reason())
	})
}

func TestOnIdle_ThatBlocksOrPanicsDelaysNoTimeout(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var panics atomic.Int64
		free := make(chan struct{})
		p := newPool(t, testConfig{
			IdleTimeout: time.Minute,
			OnPanic:     func(any, []byte) { panics.Add(1) },
			OnIdle: func(s *testSession) {
				if s.ID() == 1 {
					<-free
				}
				panic("OnIdle")
			},
		})
		blocked, other := mustRegister(t, p, 1), mustRegister(t, p, 2)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, pool.Timeout, other.Reason())
		require.Equal(t, pool.Timeout, blocked.Reason())
		require.Equal(t, int64(1), panics.Load())
		close(free)
		synctest.Wait()
		require.Equal(t, int64(2), panics.Load())
	})
}
