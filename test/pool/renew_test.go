package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func renewStep(d time.Duration) func(*testSession) {
	return func(s *testSession) { s.Renew(d) }
}

func TestRenew_CountsTheNewTimeoutFromNow(t *testing.T) {
	c := testConfig{IdleTimeout: 10 * time.Second}
	runTimingCases(t, []timingCase{
		{
			name: "longer", c: c,
			steps: []timedStep{{4 * time.Second, renewStep(time.Minute)}},
			want:  64 * time.Second, reason: pool.Timeout,
		},
		{
			name: "shorter than it has been idle", c: c,
			steps: []timedStep{{4 * time.Second, renewStep(2 * time.Second)}},
			want:  6 * time.Second, reason: pool.Timeout,
		},
		{
			name: "and holds for later activity", c: c,
			steps: []timedStep{{4 * time.Second, renewStep(2 * time.Second)}, {5 * time.Second, touchStep}},
			want:  7 * time.Second, reason: pool.Timeout,
		},
		{
			name: "0 is the pool's", c: c,
			steps: []timedStep{{time.Second, setIdleStep(time.Minute)}, {20 * time.Second, renewStep(0)}},
			want:  30 * time.Second, reason: pool.Timeout,
		},
		{
			name: "negative is never", c: c,
			steps: []timedStep{{4 * time.Second, renewStep(-1)}, {time.Hour, touchStep}},
		},
		{
			name: "never and back", c: testConfig{IdleTimeout: -1},
			steps: []timedStep{{time.Hour, renewStep(time.Second)}},
			want:  time.Hour + time.Second, reason: pool.Timeout,
		},
		{
			name: "while held", c: c,
			steps: []timedStep{{time.Second, pinStep}, {2 * time.Second, renewStep(time.Second)}, {2500 * time.Millisecond, unpinStep}},
			want:  3 * time.Second, reason: pool.Timeout,
		},
	})
}

func TestRenew_WithTheSameTimeoutAllocatesNothing(t *testing.T) {
	s := mustRegister(t, newPool(t, testConfig{}), 1)
	for _, d := range []time.Duration{0, time.Minute, -1, 0} {
		s.Renew(d)
		require.Zero(t, testing.AllocsPerRun(1000, func() { s.Renew(d) }), d)
	}
}

func TestRenew_OnAClosedSessionReportsFalseAndChangesNothing(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		w, s := closedSession(t)
		active := s.LastActive()
		time.Sleep(time.Second)
		require.False(t, s.Renew(time.Minute))
		require.Zero(t, w.Len())
		require.Equal(t, active, s.LastActive())
		require.Equal(t, pool.Reason("Bye"), s.Reason())
	})
}

// A session that is about to expire is renewed at the moment of its expiry. Whoever is
// told that it goes on can rely on it, however short the old timeout was.
func TestRenew_DecidesTheRaceWithTheExpiry(t *testing.T) {
	var renewed, expired int
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{IdleTimeout: 10 * time.Millisecond})
		for i := range 2000 {
			s := mustRegister(t, p, i)
			time.Sleep(10*time.Millisecond + time.Duration(i%11)*time.Millisecond) // the wheel is at most a tick late
			if s.Renew(-1) {
				renewed++
				time.Sleep(time.Second)
				require.Empty(t, s.Reason())
			} else {
				expired++
				synctest.Wait()
				require.Equal(t, pool.Timeout, s.Reason())
			}
			s.Close("Bye")
		}
	})
	require.NotZero(t, renewed)
	require.NotZero(t, expired)
}
