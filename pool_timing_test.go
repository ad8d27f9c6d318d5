package sessionwheel_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
)

// poolStep is something done to a session at a time since its registration.
type poolStep struct {
	at time.Duration
	do func(*poolSession)
}

func poolTouch(s *poolSession) { s.Touch() }
func poolPin(s *poolSession)   { s.Pin() }
func poolUnpin(s *poolSession) { s.Unpin() }

func poolSetIdle(d time.Duration) func(*poolSession) {
	return func(s *poolSession) { s.SetIdleTimeout(d) }
}

// poolHold returns a step that holds the session and one that releases it.
func poolHold() (hold, release func(*poolSession)) {
	var r func()
	return func(s *poolSession) { r = s.Hold() }, func(*poolSession) { r() }
}

// poolCase is the life of one session: its steps, and how it ends.
type poolCase struct {
	name   string
	c      poolConfig
	steps  []poolStep
	want   time.Duration // when the session ends
	reason pool.Reason   // "" is never
}

func poolRunCases(t *testing.T, cases []poolCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			poolBubble(t, func(t *testing.T) {
				start := time.Now()
				end := make(chan time.Duration, 1)
				tt.c.OnSessionClosed = func(*poolSession, pool.Reason) { end <- time.Since(start) }
				p := poolNew(t, tt.c)
				s := poolRegister(t, p, 1)
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
				require.LessOrEqual(t, at, tt.want+poolTick, "late")
			})
		})
	}
}

func TestASessionTimesOutWhenItHasBeenIdle(t *testing.T) {
	poolRunCases(t, []poolCase{
		{
			name: "silent", c: poolConfig{IdleTimeout: 10 * time.Second},
			want: 10 * time.Second, reason: pool.Timeout,
		},
		{
			name: "each touch re-arms", c: poolConfig{IdleTimeout: 10 * time.Second},
			steps: []poolStep{{4 * time.Second, poolTouch}, {9 * time.Second, poolTouch}, {18 * time.Second, poolTouch}},
			want:  28 * time.Second, reason: pool.Timeout,
		},
		{
			name: "a touch just in time", c: poolConfig{IdleTimeout: 10 * time.Second},
			steps: []poolStep{{10*time.Second - 1, poolTouch}},
			want:  20*time.Second - 1, reason: pool.Timeout,
		},
		{name: "default", want: 5 * time.Minute, reason: pool.Timeout},
		{name: "off", c: poolConfig{IdleTimeout: -1}},
		{name: "off and touched", c: poolConfig{IdleTimeout: -1}, steps: []poolStep{{time.Hour, poolTouch}}},
		{
			name: "short, in a pool just made", c: poolConfig{IdleTimeout: 30 * time.Millisecond},
			want: 30 * time.Millisecond, reason: pool.Timeout,
		},
		{
			name: "shorter than a tick", c: poolConfig{IdleTimeout: 1},
			want: 1, reason: pool.Timeout,
		},
		{
			name: "longest", c: poolConfig{IdleTimeout: 1<<63 - 1},
			steps: []poolStep{{time.Hour, poolTouch}},
		},
	})
}

func TestALifetimeEndsHoweverActiveTheSession(t *testing.T) {
	hold, release := poolHold()
	c := poolConfig{IdleTimeout: 10 * time.Second, MaxLifetime: 25 * time.Second}
	poolRunCases(t, []poolCase{
		{name: "idle comes first", c: c, want: 10 * time.Second, reason: pool.Timeout},
		{
			name: "active", c: c,
			steps: []poolStep{{8 * time.Second, poolTouch}, {16 * time.Second, poolTouch}, {24 * time.Second, poolTouch}},
			want:  25 * time.Second, reason: pool.Lifetime,
		},
		{
			name: "idle comes first after activity", c: c,
			steps: []poolStep{{8 * time.Second, poolTouch}, {14 * time.Second, poolTouch}},
			want:  24 * time.Second, reason: pool.Timeout,
		},
		{
			name: "idle comes first within a tick", c: poolConfig{IdleTimeout: 1001 * time.Millisecond, MaxLifetime: 1005 * time.Millisecond},
			want: 1001 * time.Millisecond, reason: pool.Timeout,
		},
		{
			name: "idle comes second within a tick", c: poolConfig{IdleTimeout: 1005 * time.Millisecond, MaxLifetime: 1001 * time.Millisecond},
			want: 1001 * time.Millisecond, reason: pool.Lifetime,
		},
		{
			name: "idle timeout off", c: poolConfig{IdleTimeout: -1, MaxLifetime: 25 * time.Second},
			want: 25 * time.Second, reason: pool.Lifetime,
		},
		{
			name: "an idle timeout that reaches beyond it", c: c,
			steps: []poolStep{{8 * time.Second, poolSetIdle(20 * time.Second)}},
			want:  25 * time.Second, reason: pool.Lifetime,
		},
		{
			name: "an idle timeout that begins anew and reaches beyond it", c: c,
			steps: []poolStep{{8 * time.Second, poolTouch}, {16 * time.Second, poolSetIdle(10 * time.Second)}},
			want:  25 * time.Second, reason: pool.Lifetime,
		},
		{
			name: "an idle timeout switched off", c: c,
			steps: []poolStep{{8 * time.Second, poolSetIdle(-1)}},
			want:  25 * time.Second, reason: pool.Lifetime,
		},
		{
			name: "held for less than the idle timeout", c: c,
			steps: []poolStep{{8 * time.Second, poolTouch}, {16 * time.Second, hold}, {17 * time.Second, release}},
			want:  25 * time.Second, reason: pool.Lifetime,
		},
		{
			name: "held at its end", c: poolConfig{IdleTimeout: 30 * time.Second, MaxLifetime: 25 * time.Second},
			steps: []poolStep{{time.Second, hold}},
			want:  25 * time.Second, reason: pool.Lifetime,
		},
	})
}

// On real time, since whoever re-arms a session whose life is over spins.
func TestALifetimeEndsWhileTheSessionIsHeldBeyondItsIdleTimeout(t *testing.T) {
	p := poolNew(t, poolConfig{IdleTimeout: 100 * time.Millisecond, MaxLifetime: 650 * time.Millisecond})
	s := poolRegister(t, p, 1)
	defer s.Hold()()
	select {
	case <-s.Done():
	case <-time.After(20 * time.Second):
	}
	require.Equal(t, pool.Lifetime, s.Reason())
	require.GreaterOrEqual(t, time.Since(s.RegisteredAt()), 650*time.Millisecond)
}

func TestSetIdleTimeoutCountsFromNow(t *testing.T) {
	c := poolConfig{IdleTimeout: 10 * time.Second}
	poolRunCases(t, []poolCase{
		{
			name: "shorter", c: c,
			steps: []poolStep{{4 * time.Second, poolSetIdle(2 * time.Second)}},
			want:  6 * time.Second, reason: pool.Timeout,
		},
		{
			name: "shorter and touched", c: c,
			steps: []poolStep{{4 * time.Second, poolSetIdle(2 * time.Second)}, {5 * time.Second, poolTouch}},
			want:  7 * time.Second, reason: pool.Timeout,
		},
		{
			name: "longer", c: c,
			steps: []poolStep{{4 * time.Second, poolSetIdle(time.Minute)}},
			want:  64 * time.Second, reason: pool.Timeout,
		},
		{
			name: "longer and touched", c: c,
			steps: []poolStep{{4 * time.Second, poolSetIdle(time.Minute)}, {time.Minute, poolTouch}},
			want:  2 * time.Minute, reason: pool.Timeout,
		},
		{
			name: "0 is the pool's", c: c,
			steps: []poolStep{{4 * time.Second, poolSetIdle(time.Minute)}, {34 * time.Second, poolSetIdle(0)}},
			want:  44 * time.Second, reason: pool.Timeout,
		},
		{
			name: "0 is the pool's default", steps: []poolStep{{time.Second, poolSetIdle(time.Second)}, {1500 * time.Millisecond, poolSetIdle(0)}},
			want: 5*time.Minute + 1500*time.Millisecond, reason: pool.Timeout,
		},
		{
			name: "0 is the pool's never", c: poolConfig{IdleTimeout: -1},
			steps: []poolStep{{0, poolSetIdle(10 * time.Second)}, {5 * time.Second, poolSetIdle(0)}},
		},
		{
			name: "negative is never", c: c,
			steps: []poolStep{{4 * time.Second, poolSetIdle(-time.Second)}, {time.Hour, poolTouch}},
		},
		{
			name: "never and back", c: c,
			steps: []poolStep{{4 * time.Second, poolSetIdle(-1)}, {time.Hour, poolSetIdle(time.Second)}},
			want:  time.Hour + time.Second, reason: pool.Timeout,
		},
		{
			name: "shorter while held", c: c,
			steps: []poolStep{{time.Second, poolPin}, {2 * time.Second, poolSetIdle(time.Second)}, {9500 * time.Millisecond, poolUnpin}},
			want:  10500 * time.Millisecond, reason: pool.Timeout,
		},
	})
}

func TestSetIdleTimeoutOnAClosingSessionDoesNothing(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		w := poolWheel(t)
		p := poolNew(t, poolConfig{Wheel: w})
		s := poolRegister(t, p, 1)
		s.Close("Bye")
		s.SetIdleTimeout(time.Second)
		require.Zero(t, w.Len())
	})
}

func TestAHeldSessionDoesNotTimeOut(t *testing.T) {
	hold, release := poolHold()
	hold2, release2 := poolHold()
	c := poolConfig{IdleTimeout: 10 * time.Second}
	poolRunCases(t, []poolCase{
		{name: "never released", c: c, steps: []poolStep{{time.Second, hold}}},
		{
			name: "the release is activity", c: c,
			steps: []poolStep{{time.Second, hold}, {5 * time.Second, release}},
			want:  15 * time.Second, reason: pool.Timeout,
		},
		{
			name: "for longer than the idle timeout", c: c,
			steps: []poolStep{{time.Second, hold}, {35 * time.Second, release}},
			want:  45 * time.Second, reason: pool.Timeout,
		},
		{
			name: "nested, the first released first", c: c,
			steps: []poolStep{{1 * time.Second, hold}, {2 * time.Second, hold2}, {15 * time.Second, release}, {39 * time.Second, release2}},
			want:  49 * time.Second, reason: pool.Timeout,
		},
		{
			name: "nested, the last released first", c: c,
			steps: []poolStep{{1 * time.Second, hold}, {2 * time.Second, hold2}, {15 * time.Second, release2}, {39 * time.Second, release}},
			want:  49 * time.Second, reason: pool.Timeout,
		},
		{
			name: "released twice", c: c,
			steps: []poolStep{{1 * time.Second, hold}, {2 * time.Second, hold2}, {3 * time.Second, release}, {4 * time.Second, release}, {39 * time.Second, release2}},
			want:  49 * time.Second, reason: pool.Timeout,
		},
		{
			name: "a second release is no activity", c: c,
			steps: []poolStep{{1 * time.Second, hold}, {2 * time.Second, release}, {8 * time.Second, release}},
			want:  12 * time.Second, reason: pool.Timeout,
		},
		{
			name: "held again", c: c,
			steps: []poolStep{{1 * time.Second, hold}, {15 * time.Second, release}, {16 * time.Second, hold2}, {60 * time.Second, release2}},
			want:  70 * time.Second, reason: pool.Timeout,
		},
		{
			name: "touched meanwhile", c: c,
			steps: []poolStep{{1 * time.Second, hold}, {15 * time.Second, poolTouch}, {17 * time.Second, release}},
			want:  27 * time.Second, reason: pool.Timeout,
		},
		{
			name: "closed all the same", c: c,
			steps: []poolStep{{1 * time.Second, hold}, {15 * time.Second, func(s *poolSession) { s.Close("Bye") }}, {17 * time.Second, release}},
			want:  15 * time.Second, reason: "Bye",
		},
	})
}

func TestAPinnedSessionDoesNotTimeOut(t *testing.T) {
	c := poolConfig{IdleTimeout: 10 * time.Second}
	poolRunCases(t, []poolCase{
		{name: "never unpinned", c: c, steps: []poolStep{{time.Second, poolPin}}},
		{
			name: "Unpin is no activity", c: c,
			steps: []poolStep{{time.Second, poolPin}, {5 * time.Second, poolUnpin}},
			want:  10 * time.Second, reason: pool.Timeout,
		},
		{
			name: "for longer than the idle timeout", c: c,
			steps: []poolStep{{time.Second, poolPin}, {15 * time.Second, poolUnpin}},
			want:  25 * time.Second, reason: pool.Timeout,
		},
		{
			name: "for much longer than the idle timeout", c: c,
			steps: []poolStep{{time.Second, poolPin}, {9999 * time.Second, poolUnpin}},
			want:  10009 * time.Second, reason: pool.Timeout,
		},
		{
			name: "nested", c: c,
			steps: []poolStep{{time.Second, poolPin}, {2 * time.Second, poolPin}, {15 * time.Second, poolUnpin}, {36 * time.Second, poolUnpin}},
			want:  46 * time.Second, reason: pool.Timeout,
		},
		{
			name: "pinned again", c: c,
			steps: []poolStep{{time.Second, poolPin}, {15 * time.Second, poolUnpin}, {16 * time.Second, poolPin}, {17 * time.Second, poolUnpin}},
			want:  25 * time.Second, reason: pool.Timeout,
		},
		{
			name: "unpinned before an idle timeout that began anew", c: c,
			steps: []poolStep{{8 * time.Second, poolSetIdle(10 * time.Second)}, {9 * time.Second, poolPin}, {12 * time.Second, poolUnpin}},
			want:  18 * time.Second, reason: pool.Timeout,
		},
		{
			// The slot of a timer due at 1.001s comes up at 1.010s.
			name: "unpinned between the idle timeout and the tick that would show it", c: poolConfig{IdleTimeout: 1001 * time.Millisecond},
			steps: []poolStep{{time.Millisecond, poolPin}, {1005 * time.Millisecond, poolUnpin}},
			want:  2006 * time.Millisecond, reason: pool.Timeout,
		},
	})
}

func TestUnpinWithoutAPinPanics(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		s := poolRegister(t, poolNew(t, poolConfig{IdleTimeout: time.Second}), 1)
		require.Panics(t, s.Unpin)
	})
	poolBubble(t, func(t *testing.T) {
		s := poolRegister(t, poolNew(t, poolConfig{IdleTimeout: time.Second}), 1)
		s.Pin()
		time.Sleep(time.Minute)
		s.Unpin()
		require.Panics(t, s.Unpin)
	})
}

func TestLastActiveIsTheLastTouch(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := poolNew(t, poolConfig{IdleTimeout: time.Minute})
		time.Sleep(7 * time.Second)
		start := time.Now()
		s := poolRegister(t, p, 1)
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
