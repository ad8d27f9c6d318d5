package pool_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestPoolSetIdleTimeout_ChangesItForSessionsWithoutTheirOwn(t *testing.T) {
	const at = 4 * time.Second // when it is changed
	for _, tt := range []struct {
		name   string
		c      testConfig
		before func(*testSession) // with the session, at its birth
		change time.Duration
		after  func(*testSession) // a second after the change
		want   time.Duration      // when the session closes; 0 is never
	}{
		{name: "shorter", change: 5 * time.Second, want: 5 * time.Second},
		{name: "shorter than it has been idle", change: 2 * time.Second, want: at},
		{name: "longer", change: time.Minute, want: time.Minute},
		{name: "longer and touched", change: time.Minute, after: touchStep, want: at + 61*time.Second},
		{name: "the same changes nothing", change: 10 * time.Second, want: 10 * time.Second},
		{name: "never", change: -1},
		{name: "from never", c: testConfig{IdleTimeout: -1}, change: 6 * time.Second, want: 6 * time.Second},
		{name: "0 is the default", change: 0, want: 5 * time.Minute},
		{name: "one of its own stays", before: setIdleStep(20 * time.Second), change: time.Second, want: 20 * time.Second},
		{name: "one of its own stays for ever", before: setIdleStep(-1), change: time.Second},
		{name: "as long as the pool's but its own", before: setIdleStep(10 * time.Second), change: time.Second, want: 10 * time.Second},
		{
			name: "given back to the pool's", before: func(s *testSession) { s.SetIdleTimeout(time.Hour); s.SetIdleTimeout(0) },
			change: 5 * time.Second, want: 5 * time.Second,
		},
		{name: "given back afterwards", before: setIdleStep(time.Hour), change: 6 * time.Second, after: setIdleStep(0), want: 6 * time.Second},
		{name: "held", before: pinStep, change: time.Second, after: unpinStep, want: at + 2*time.Second},
		{name: "within its lifetime", c: testConfig{MaxLifetime: 7 * time.Second}, change: time.Hour, want: 7 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				if tt.c.IdleTimeout == 0 {
					tt.c.IdleTimeout = 10 * time.Second
				}
				p := newPool(t, tt.c)
				s := mustRegister(t, p, 1)
				if tt.before != nil {
					tt.before(s)
				}
				time.Sleep(at)
				p.SetIdleTimeout(tt.change)
				if tt.after != nil {
					time.Sleep(time.Second)
					tt.after(s)
				}
				if tt.want == 0 {
					time.Sleep(1000 * time.Hour)
					require.False(t, hasEnded(s))
					return
				}
				<-s.Done()
				require.GreaterOrEqual(t, time.Since(s.RegisteredAt()), tt.want)
				require.LessOrEqual(t, time.Since(s.RegisteredAt()), tt.want+harness.Tick)
			})
		})
	}
}

func TestPoolSetIdleTimeout_HoldsForNewSessions(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{IdleTimeout: time.Hour})
		p.SetIdleTimeout(3 * time.Second)
		s := mustRegister(t, p, 1)
		deadline, ok := s.Deadline()
		require.True(t, ok)
		require.Equal(t, 3*time.Second, deadline.Sub(s.RegisteredAt()))
	})
}

func TestPoolSetIdleTimeout_MovesOnIdle(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var told atomic.Int64 // when
		begun := time.Now()
		p := newPool(t, testConfig{
			IdleTimeout: time.Hour, IdleWarning: 2 * time.Second,
			OnIdle: func(*testSession) { told.Store(int64(time.Since(begun))) },
		})
		s := mustRegister(t, p, 1)
		time.Sleep(time.Minute)
		p.SetIdleTimeout(10 * time.Second)
		<-s.Done()
		require.InDelta(t, 60*time.Second, told.Load(), float64(harness.Tick))
		require.InDelta(t, 62*time.Second, time.Since(begun), float64(2*harness.Tick))
	})
}

// A change may go over the pool between the moment in which a session is made and
// the one in which it is in the pool. Hashing a long ID takes long enough for that.
func TestPoolSetIdleTimeout_IsMissedByNoSession(t *testing.T) {
	long := strings.Repeat("x", 16<<20)
	for range 10 {
		p, err := pool.New(pool.Config[string, *testConn]{IdleTimeout: time.Hour})
		require.NoError(t, err)
		begin := make(chan struct{})
		done := make(chan error)
		go func() {
			begin <- struct{}{}
			_, err := p.Register(long, new(testConn))
			done <- err
		}()
		<-begin
		p.SetIdleTimeout(time.Minute)
		require.NoError(t, <-done)
		for _, s := range p.All() {
			deadline, ok := s.Deadline()
			require.True(t, ok)
			require.LessOrEqual(t, time.Until(deadline), time.Minute)
		}
		require.NoError(t, p.Shutdown(t.Context()))
	}
}
