package sessionwheel_test

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// sweep keeps sessions as the article behind this project does: in one map
// under one mutex, all of which it walks each interval to close those that have
// been idle for too long. It is what the benchmarks measure against.
//
// The article's faults are mended: activity times are atomic, what is closed
// leaves the map, is closed once and after the lock was given back. Its cost is
// as it was: the map is locked during the walk, and a session is closed up to
// an interval late.
type sweep struct {
	// Immutable.
	idle  time.Duration
	start time.Time
	quit  chan struct{} // closed by stop
	done  chan struct{} // closed when the goroutine has ended

	mu sync.Mutex
	// Guarded by mu.
	sessions map[int64]*sweepSession
}

type sweepSession struct {
	active atomic.Int64 // since sweep.start

	// Immutable.
	sweep *sweep
	id    int64
	conn  io.Closer
}

// startSweep starts the goroutine that walks; stop ends it and waits for it.
func startSweep(idle, interval time.Duration) *sweep {
	w := &sweep{
		idle: idle, start: time.Now(),
		quit: make(chan struct{}), done: make(chan struct{}),
		sessions: make(map[int64]*sweepSession),
	}
	go w.run(interval)
	return w
}

func (w *sweep) run(interval time.Duration) {
	defer close(w.done)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, s := range w.takeIdle() {
				_ = s.conn.Close()
			}
		case <-w.quit:
			return
		}
	}
}

// takeIdle is the walk.
func (w *sweep) takeIdle() (idle []*sweepSession) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Since(w.start)
	for id, s := range w.sessions {
		if now-time.Duration(s.active.Load()) >= w.idle {
			delete(w.sessions, id)
			idle = append(idle, s)
		}
	}
	return idle
}

func (w *sweep) stop() {
	close(w.quit)
	<-w.done
}

func (w *sweep) register(id int64, conn io.Closer) *sweepSession {
	s := &sweepSession{sweep: w, id: id, conn: conn}
	s.touch()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions[id] = s
	return s
}

// touch says that there was activity.
func (s *sweepSession) touch() {
	s.active.Store(int64(time.Since(s.sweep.start)))
}

// close reports true for the one call that closed the session.
func (s *sweepSession) close() bool {
	w := s.sweep
	w.mu.Lock()
	open := w.sessions[s.id] == s
	if open {
		delete(w.sessions, s.id)
	}
	w.mu.Unlock()
	if open {
		_ = s.conn.Close()
	}
	return open
}

// closerFunc is a connection of which only the close is of interest.
type closerFunc func()

func (f closerFunc) Close() error {
	f()
	return nil
}

func TestTheSweepClosesIdleSessionsOnceUpToAnIntervalLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval = 5 * time.Second
		w := startSweep(5*time.Second, interval)
		defer w.stop()
		start := time.Now()
		closed := make(map[int64][]time.Duration)
		var mu sync.Mutex
		register := func(id int64) *sweepSession {
			return w.register(id, closerFunc(func() {
				mu.Lock()
				defer mu.Unlock()
				closed[id] = append(closed[id], time.Since(start))
			}))
		}

		register(1)
		time.Sleep(time.Millisecond)
		silent, touched := register(2), register(3)
		time.Sleep(7 * time.Second)
		touched.touch()
		time.Sleep(3 * time.Second)
		require.True(t, touched.close())
		require.False(t, touched.close())
		require.False(t, silent.close())
		time.Sleep(time.Minute)

		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, map[int64][]time.Duration{
			1: {5 * time.Second},
			2: {10 * time.Second}, // due at 5.001 s
			3: {10*time.Second + time.Millisecond},
		}, closed)
		require.Empty(t, w.sessions)
	})
}

func TestTheSweepSparesSessionsThatAreTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startSweep(5*time.Second, time.Second)
		defer w.stop()
		s := w.register(1, closerFunc(func() {}))
		for range 20 {
			time.Sleep(4 * time.Second)
			s.touch()
		}
		require.True(t, s.close())
	})
}

func TestTheSweepLeavesANewSessionUnderTheSameIDAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startSweep(5*time.Second, time.Second)
		defer w.stop()
		old, young := w.register(1, closerFunc(func() {})), w.register(1, closerFunc(func() {}))
		require.False(t, old.close())
		require.True(t, young.close())
	})
}
