// Package clockstep sets the wall clock, and nothing else, while timers are
// pending. It compiles only against a package time whose wall reading has an
// offset added, which clock_test.go of test/wheel makes.
//
// It runs in real time: a testing/synctest bubble has no monotonic clock beside
// its wall clock.
package clockstep

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

const hour = 3600 // seconds

// step sets the wall clock to that many seconds before or after the true time.
func step(seconds int64) { time.WallOffset.Store(seconds) }

// book counts what became of the timers.
type book struct {
	mu     sync.Mutex
	armed  int
	fired  int
	early  int
	latest time.Duration

	// A timer of the runtime beside each shows how late this machine is.
	probed int
	probe  time.Duration // the latest of them
}

func (b *book) arm(w *wheel.Wheel, d time.Duration) {
	start := time.Now()
	w.AfterFunc(d, func() {
		late := time.Since(start) - d
		b.mu.Lock()
		defer b.mu.Unlock()
		b.fired++
		b.latest = max(b.latest, late)
		if late < 0 {
			b.early++
		}
	})
	b.probeFrom(start, d)
}

// probeFrom arms the timer of the runtime beside one that is due d after start.
func (b *book) probeFrom(start time.Time, d time.Duration) {
	b.mu.Lock()
	b.armed++
	b.mu.Unlock()
	time.AfterFunc(d, func() {
		late := time.Since(start) - d
		b.mu.Lock()
		defer b.mu.Unlock()
		b.probed++
		b.probe = max(b.probe, late)
	})
}

// complete reports whether all timers have fired, and those beside them.
func (b *book) complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fired == b.armed && b.probed == b.armed
}

func TestWallClock_StepsAreSurvived(t *testing.T) {
	defer step(0)
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var b book
	s := startSessions(t)
	start, cpu := time.Now(), busySeconds()
	// By an hour and by a few seconds, either way, in another order in each run.
	// The last is a step back, after which a wheel on the wall clock would wait for
	// an hour.
	steps := []int64{-hour, 0, hour, -hour, hour, hour - 3, hour + 2, 0, -5}
	rand.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	steps = append(steps, -2*hour)
	t.Logf("the wall clock is off by, one after the other, %d seconds", steps)
	for _, to := range steps {
		s.register(t)
		b.arm(w, 300*time.Millisecond) // pending at the step
		b.arm(w, 2*time.Second)
		step(to)
		s.register(t)
		b.arm(w, time.Second) // armed in the new time
		for range 50 {
			b.arm(w, rand.N(2*time.Second))
			s.touch()
			time.Sleep(rand.N(10 * time.Millisecond))
		}
		for range 10 {
			s.touch()
			time.Sleep(30 * time.Millisecond)
		}
	}
	// All is due in two seconds, or lost, or as late as the clock was stepped.
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && !(b.complete() && s.closed.complete()); time.Sleep(20 * time.Millisecond) {
		s.touch()
	}
	took, cpu := time.Since(start), busySeconds()-cpu
	s.judge(t)
	b.mu.Lock()
	defer b.mu.Unlock()
	t.Logf("%d timers: the latest was %v late, the runtime's latest %v; %.1f%% of a processor; %+v", b.armed, b.latest, b.probe, 100*cpu/took.Seconds(), w.Stats())
	if b.early != 0 {
		t.Errorf("%d timers were early", b.early)
	}
	if b.fired != b.armed {
		t.Errorf("%d of %d timers have not fired", b.armed-b.fired, b.armed)
	}
	if b.latest > 2*time.Second+b.probe { // a second is promised, and another left for a slow machine
		t.Errorf("a timer was %v late", b.latest)
	}
	if cpu > took.Seconds()/2 {
		t.Errorf("the wheel was busy for %.1fs of %v", cpu, took)
	}
}

// sessions is a pool beside the timers. Those with even IDs are touched now and
// then, and the others never.
type sessions struct {
	pool   *pool.Pool[int, *conn]
	ids    int
	closed book
}

type conn struct{ due time.Time } // no earlier; sessions.closed.mu guards it

func (*conn) Close() error { return nil }

const idle = 1500 * time.Millisecond

func startSessions(t *testing.T) *sessions {
	s := new(sessions)
	var err error
	s.pool, err = pool.New(pool.Config[int, *conn]{
		IdleTimeout: idle,
		OnSessionClosed: func(c *pool.Session[int, *conn], r pool.Reason) {
			s.closed.mu.Lock()
			defer s.closed.mu.Unlock()
			if r != pool.Timeout {
				return
			}
			late := time.Since(c.Conn().due)
			if late < 0 {
				s.closed.early++
			}
			if c.ID()%2 == 0 { // the touches were late, if it was not early
				return
			}
			s.closed.fired++
			s.closed.latest = max(s.closed.latest, late)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.pool.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// register registers one session to be touched and one that is silent.
func (s *sessions) register(t *testing.T) {
	start := time.Now()
	for range 2 {
		if _, err := s.pool.Register(s.ids, &conn{start.Add(idle)}); err != nil {
			t.Fatal(err)
		}
		s.ids++
	}
	s.closed.probeFrom(start, idle)
}

func (s *sessions) touch() {
	for id, c := range s.pool.All() {
		if now := time.Now(); id%2 == 0 && c.Touch() {
			s.closed.mu.Lock()
			c.Conn().due = now.Add(idle)
			s.closed.mu.Unlock()
		}
	}
}

func (s *sessions) judge(t *testing.T) {
	s.closed.mu.Lock()
	defer s.closed.mu.Unlock()
	t.Logf("%d sessions: the latest was %v late, the runtime's latest %v", s.ids, s.closed.latest, s.closed.probe)
	if s.closed.early != 0 {
		t.Errorf("%d sessions timed out early, or though they were active", s.closed.early)
	}
	if s.closed.fired != s.ids/2 {
		t.Errorf("%d silent sessions of %d have timed out", s.closed.fired, s.ids/2)
	}
	if s.closed.latest > 2*time.Second+s.closed.probe {
		t.Errorf("a session was %v late", s.closed.latest)
	}
}

// Whatever the wall clock says, a wheel and a pool that have nothing due use hardly
// any processor time.
func TestWallClock_StepsLeaveAnIdleProcessIdle(t *testing.T) {
	defer step(0)
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i := range 1000 {
		w.AfterFunc(time.Hour/2+time.Duration(i)*time.Second, func() { t.Error("a timer was early") })
	}
	s := startSessions(t)
	for range 500 {
		s.register(t)
	}
	for _, c := range s.pool.All() {
		c.SetIdleTimeout(time.Hour)
	}
	start, cpu := time.Now(), busySeconds()
	for _, to := range []int64{-hour, hour, 0, 3, -3, 2 * hour, 0} {
		step(to)
		time.Sleep(400 * time.Millisecond)
	}
	took, cpu := time.Since(start), busySeconds()-cpu
	t.Logf("the processor was busy for %.2f%% of the time", 100*cpu/took.Seconds())
	if cpu > took.Seconds()/10 {
		t.Errorf("an idle process was busy for %.1fs of %v", cpu, took)
	}
	if w.Len() != 1000 || s.pool.Len() != 1000 {
		t.Errorf("%d timers and %d sessions are left of 1000", w.Len(), s.pool.Len())
	}
}

// The clock is really stepped, and so the test above can fail.
func TestWallClock_IsStepped(t *testing.T) {
	before := time.Now()
	step(hour)
	defer step(0)
	after := time.Now()
	if after.Unix()-before.Unix() < hour-1 || after.Sub(before) > time.Minute {
		t.Fatal("the wall reading did not move, or the monotonic one did")
	}
}
