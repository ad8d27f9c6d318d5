package sessionwheel_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/RussellLuo/timingwheel"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
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

func TestSweep_ClosesIdleSessionsOnceAndUpToAnIntervalLate(t *testing.T) {
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

func TestSweep_SparesSessionsThatAreTouched(t *testing.T) {
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

func TestSweep_LeavesANewSessionUnderTheSameIDAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startSweep(5*time.Second, time.Second)
		defer w.stop()
		old, young := w.register(1, closerFunc(func() {})), w.register(1, closerFunc(func() {}))
		require.False(t, old.close())
		require.True(t, young.close())
	})
}

// The benchmarks have the same work done by each of these:
//
//	sessionwheel  a pool
//	timingwheel   a map, and a timer of the plain library for each session
//	time.Timer    a map, and a timer of the runtime for each session
//	sweep         a map, and the linear sweep
//	store         in BenchmarkTouch alone: a clock read and an atomic store,
//	              which any touch costs at least
//
// Run them all with "go test -run xxx -bench . .".

// session is a session of any of them.
type session interface {
	touch()
	close() bool
	expireAt(at time.Time) // once, and then without a touch
}

// keeper starts one of them. Its sessions time out when they have been idle for
// benchIdle; none is walked or fires before, unless expireAt asks for it.
type keeper struct {
	name  string
	start func(tb testing.TB) (register func(id int64, conn io.Closer) session, stop func())
}

const (
	benchIdle     = 5 * time.Minute
	sweepInterval = time.Second
)

var keepers = []keeper{
	{"sessionwheel", func(tb testing.TB) (func(int64, io.Closer) session, func()) {
		p, err := pool.New(pool.Config[int64, io.Closer]{IdleTimeout: benchIdle})
		require.NoError(tb, err)
		register := func(id int64, conn io.Closer) session {
			s, err := p.Register(id, conn)
			if err != nil {
				panic(err)
			}
			return poolSession{s}
		}
		return register, func() { require.NoError(tb, p.Shutdown(context.Background())) }
	}},
	{"timingwheel", func(testing.TB) (func(int64, io.Closer) session, func()) {
		tw := timingwheel.NewTimingWheel(10*time.Millisecond, 64)
		tw.Start()
		m := newTimedMap(tw.AfterFunc)
		return m.register, tw.Stop
	}},
	{"time.Timer", func(testing.TB) (func(int64, io.Closer) session, func()) {
		m := newTimedMap(time.AfterFunc)
		return m.register, m.stopTimers
	}},
	{"sweep", func(testing.TB) (func(int64, io.Closer) session, func()) {
		w := startSweep(benchIdle, sweepInterval)
		return func(id int64, conn io.Closer) session { return w.register(id, conn) }, w.stop
	}},
}

// poolSession is a session of package pool.
type poolSession struct {
	*pool.Session[int64, io.Closer]
}

func (s poolSession) touch()                { s.Touch() }
func (s poolSession) close() bool           { return s.Close("done") }
func (s poolSession) expireAt(at time.Time) { s.SetIdleTimeout(max(at.Sub(s.RegisteredAt()), 1)) }

func (s *sweepSession) expireAt(at time.Time) {
	s.active.Store(int64(at.Add(-s.sweep.idle).Sub(s.sweep.start)))
}

// timedMap is the plain way to give each session a timer: one map under one
// mutex, and the timers of the library or of the runtime as they are.
type timedMap[T interface{ Stop() bool }] struct {
	after func(time.Duration, func()) T

	mu sync.Mutex
	// Guarded by mu.
	sessions map[int64]*timedSession[T]
}

type timedSession[T interface{ Stop() bool }] struct {
	owner *timedMap[T]
	id    int64
	conn  io.Closer
	timer T // of the one goroutine that touches and closes
}

func newTimedMap[T interface{ Stop() bool }](after func(time.Duration, func()) T) *timedMap[T] {
	return &timedMap[T]{after: after, sessions: make(map[int64]*timedSession[T])}
}

func (m *timedMap[T]) register(id int64, conn io.Closer) session {
	s := &timedSession[T]{owner: m, id: id, conn: conn}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.timer = m.after(benchIdle, s.expire)
	m.sessions[id] = s
	return s
}

// stopTimers stops the timers of all sessions.
func (m *timedMap[T]) stopTimers() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		s.timer.Stop()
	}
}

func (s *timedSession[T]) remove() bool {
	m := s.owner
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions[s.id] != s {
		return false
	}
	delete(m.sessions, s.id)
	return true
}

func (s *timedSession[T]) expire() {
	if s.remove() {
		_ = s.conn.Close()
	}
}

// touch resets a timer that can be reset, and otherwise makes another one, as
// the library's timers want it.
func (s *timedSession[T]) touch() { s.arm(benchIdle) }

func (s *timedSession[T]) expireAt(at time.Time) { s.arm(time.Until(at)) }

func (s *timedSession[T]) arm(d time.Duration) {
	if t, ok := any(s.timer).(*time.Timer); ok {
		t.Reset(d)
		return
	}
	s.timer.Stop()
	s.timer = s.owner.after(d, s.expire)
}

func (s *timedSession[T]) close() bool {
	if !s.remove() {
		return false
	}
	s.timer.Stop()
	_ = s.conn.Close()
	return true
}

// storeSession is what any touch costs at least.
type storeSession struct {
	active atomic.Int64
	start  time.Time
}

func (s *storeSession) touch()           { s.active.Store(int64(time.Since(s.start))) }
func (*storeSession) close() bool        { return true }
func (*storeSession) expireAt(time.Time) {}

// benchConn is the connection of every session.
var benchConn io.Closer = closerFunc(func() {})

// BenchmarkTouch has each processor touch sessions of its own at random, as a
// connection has one reader. A thousand sessions are hot, a million are not.
func BenchmarkTouch(b *testing.B) {
	store := keeper{"store", func(testing.TB) (func(int64, io.Closer) session, func()) {
		start := time.Now()
		return func(int64, io.Closer) session { return &storeSession{start: start} }, func() {}
	}}
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			order := randomOrder(n)
			for _, k := range append(keepers, store) {
				var sessions []session
				stop := func() {}
				b.Run("impl="+k.name, func(b *testing.B) {
					if sessions == nil {
						sessions, stop = registerMany(b, k, n)
					}
					var workers atomic.Int64
					b.ReportAllocs()
					b.ResetTimer()
					b.RunParallel(func(pb *testing.PB) {
						next := order.walk(int(workers.Add(1) - 1))
						for pb.Next() {
							sessions[next()].touch()
						}
					})
				})
				stop()
				sessions = nil
				runtime.GC()
			}
		})
	}
}

// registerMany registers n sessions whose IDs count from 0.
func registerMany(b *testing.B, k keeper, n int) (sessions []session, stop func()) {
	register, stop := k.start(b)
	sessions = make([]session, n)
	for i := range sessions {
		sessions[i] = register(int64(i), benchConn)
	}
	runtime.GC()
	return sessions, stop
}

// order is a random order of sessions, drawn beforehand, so that it costs one
// sequential read for each touch. There are as many workers as processors, and
// each has sessions of its own.
type order []uint32

func randomOrder(n int) order {
	o := make(order, 1<<20)
	for i := range o {
		o[i] = rand.Uint32N(uint32(n / runtime.GOMAXPROCS(0)))
	}
	return o
}

func (o order) walk(worker int) (next func() int) {
	workers := runtime.GOMAXPROCS(0)
	i := worker * len(o) / workers
	return func() int {
		i++
		return int(o[i&(len(o)-1)])*workers + worker
	}
}

// BenchmarkRegisterClose registers sessions and closes them, on all processors,
// beside many others.
func BenchmarkRegisterClose(b *testing.B) {
	const n = 100_000
	b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
		for _, k := range keepers {
			b.Run("impl="+k.name, func(b *testing.B) {
				register, stop := k.start(b)
				defer stop()
				for i := range n {
					register(int64(i), benchConn)
				}
				var workers atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for id := workers.Add(1) << 40; pb.Next(); id++ {
						register(id, benchConn).close()
					}
				})
			})
		}
	})
}

// BenchmarkExpire has many sessions time out at one instant, and reports how late
// the last one was closed, and how many goroutines that took. With a sweep, a
// session comes due at any time between two walks: here it is halfway, which is
// the mean.
func BenchmarkExpire(b *testing.B) {
	const n = 200_000
	b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
		for _, k := range keepers {
			b.Run("impl="+k.name, func(b *testing.B) {
				var late time.Duration
				goroutines := 0
				for b.Loop() {
					l, g := expireAtOnce(b, k, n)
					late += l
					goroutines = max(goroutines, g)
				}
				b.ReportMetric(0, "ns/op") // it would be the wait
				b.ReportMetric(float64(late.Milliseconds())/float64(b.N), "last_late_ms")
				b.ReportMetric(float64(goroutines), "peak_goroutines")
				runtime.GC()
			})
		}
	})
}

// expireAtOnce registers n sessions that time out at one instant, waits until
// all are closed, and returns how late the last one was, and the most goroutines
// seen at once.
func expireAtOnce(b *testing.B, k keeper, n int) (late time.Duration, goroutines int) {
	before := runtime.NumGoroutine()
	register, stop := k.start(b)
	defer stop()
	// Time to register them all, and half an interval after a walk.
	at := time.Now().Add(2*sweepInterval + sweepInterval/2)
	var count, peak atomic.Int64
	all := make(chan struct{})
	conn := closerFunc(func() {
		now := time.Since(at)
		c := count.Add(1)
		if c%64 == 0 {
			peak.Store(max(peak.Load(), int64(runtime.NumGoroutine())))
		}
		if c == int64(n) {
			late = now
			close(all)
		}
	})
	for i := range n {
		register(int64(i), conn).expireAt(at)
	}
	require.Positive(b, time.Until(at), "the sessions came due while they were registered")
	<-all
	return late, int(peak.Load()) - before
}

// BenchmarkMemory reports the heap that a session with an int64 for its ID takes.
// The connection is shared and not counted.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
		for _, k := range keepers {
			b.Run("impl="+k.name, func(b *testing.B) {
				bytes := 0.0
				for b.Loop() {
					register, stop := k.start(b)
					before := heapInUse()
					for i := range n {
						register(int64(i), benchConn)
					}
					bytes += heapInUse() - before
					stop()
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(bytes/float64(b.N)/n, "bytes/session")
			})
		}
	})
}

// heapInUse returns the bytes of heap in use after garbage collection.
func heapInUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
