package sessionwheel_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/RussellLuo/timingwheel"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// The benchmarks show the same work done by each of these:
//
//	sessionwheel  a pool's sessions
//	wheel         a wheel's timers alone
//	timingwheel   the library as it is, one of its timers for each session
//	time.Timer    the runtime's timers
//	sweep         the linear sweep
//	store         a clock read and an atomic store: what any touch costs at least
//
// A session has an idle timeout that does not pass meanwhile, save where expiry
// is what is measured.
const benchIdle = 5 * time.Minute

// rival is something under test, ready to work; stop ends its goroutines.
type rival struct {
	work func(i int) // on the i-th session or timer, or with the i-th ID
	stop func()
}

// contender makes a rival that holds n sessions or timers.
type contender struct {
	name string
	make func(tb testing.TB, n int) rival
}

// benchConn is the connection of every session.
var benchConn io.Closer = closerFunc(func() {})

// startLibrary gives the library a setting that suits idle timeouts of minutes.
func startLibrary() *timingwheel.TimingWheel {
	tw := timingwheel.NewTimingWheel(10*time.Millisecond, 64)
	tw.Start()
	return tw
}

// benchWheel is for the caller to close: a benchmark cleans up after each round
// of several.
func benchWheel(tb testing.TB) *wheel.Wheel {
	w, err := wheel.New(wheel.Config{})
	require.NoError(tb, err)
	return w
}

func benchPool(tb testing.TB, n int) (*pool.Pool[int64, io.Closer], []*pool.Session[int64, io.Closer]) {
	p, err := pool.New(pool.Config[int64, io.Closer]{IdleTimeout: benchIdle})
	require.NoError(tb, err)
	sessions := make([]*pool.Session[int64, io.Closer], n)
	for i := range sessions {
		sessions[i], err = p.Register(int64(i), benchConn)
		require.NoError(tb, err)
	}
	return p, sessions
}

func stopPool(tb testing.TB, p *pool.Pool[int64, io.Closer]) {
	require.NoError(tb, p.Shutdown(context.Background()))
}

var touches = []contender{
	{"sessionwheel", func(tb testing.TB, n int) rival {
		p, sessions := benchPool(tb, n)
		return rival{func(i int) { sessions[i].Touch() }, func() { stopPool(tb, p) }}
	}},
	{"wheel", func(tb testing.TB, n int) rival {
		w := benchWheel(tb)
		timers := make([]*wheel.Timer, n)
		for i := range timers {
			timers[i] = w.AfterFunc(benchIdle, func() {})
		}
		return rival{func(i int) { timers[i].Extend(benchIdle) }, w.Close}
	}},
	{"timingwheel", func(_ testing.TB, n int) rival {
		tw := startLibrary()
		timers := make([]*timingwheel.Timer, n)
		for i := range timers {
			timers[i] = tw.AfterFunc(benchIdle, func() {})
		}
		return rival{func(i int) {
			timers[i].Stop()
			timers[i] = tw.AfterFunc(benchIdle, func() {})
		}, tw.Stop}
	}},
	{"time.Timer", func(_ testing.TB, n int) rival {
		timers := make([]*time.Timer, n)
		for i := range timers {
			timers[i] = time.AfterFunc(benchIdle, func() {})
		}
		return rival{func(i int) { timers[i].Reset(benchIdle) }, func() {
			for _, t := range timers {
				t.Stop()
			}
		}}
	}},
	{"sweep", func(_ testing.TB, n int) rival {
		w := startSweep(benchIdle, time.Hour) // so that no walk is measured
		sessions := make([]*sweepSession, n)
		for i := range sessions {
			sessions[i] = w.register(int64(i), benchConn)
		}
		return rival{func(i int) { sessions[i].touch() }, w.stop}
	}},
	{"store", func(_ testing.TB, n int) rival {
		start, active := time.Now(), make([]atomic.Int64, n)
		return rival{func(i int) { active[i].Store(int64(time.Since(start))) }, func() {}}
	}},
}

// BenchmarkTouch has each processor touch sessions of its own at random, as a
// connection has one reader. A thousand sessions are hot, a million are not.
func BenchmarkTouch(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			order := touchOrder(n)
			for _, c := range touches {
				compete(b, c, n, func(b *testing.B, r rival) {
					var workers atomic.Int64
					b.RunParallel(func(pb *testing.PB) {
						next := order.walk(int(workers.Add(1) - 1))
						for pb.Next() {
							r.work(next())
						}
					})
				})
			}
		})
	}
}

// order is a random order of sessions, drawn beforehand: it costs one read in
// sequence a touch. Each of as many workers as there are processors has
// sessions of its own.
type order []uint32

func touchOrder(n int) order {
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

// compete measures one contender in a sub-benchmark of its name, made once and
// only if that sub-benchmark is asked for.
func compete(b *testing.B, c contender, n int, measure func(*testing.B, rival)) {
	var r rival
	b.Run("impl="+c.name, func(b *testing.B) {
		if r.work == nil {
			r = c.make(b, n)
			runtime.GC()
		}
		b.ReportAllocs()
		b.ResetTimer()
		measure(b, r)
	})
	if r.stop != nil {
		r.stop()
		runtime.GC()
	}
}

// armings arm a timer and stop it again, beside n pending ones. time.AfterFunc
// makes a new timer each time, as the library must; time.Timer has one timer
// that it uses again, as the wheel's embedded Timer is.
var armings = []contender{
	{"wheel", func(tb testing.TB, n int) rival {
		w := benchWheel(tb)
		for range n {
			w.AfterFunc(benchIdle, func() {})
		}
		t := new(wheel.Timer)
		t.Init(w, func() {})
		return rival{func(int) {
			t.Reset(benchIdle)
			t.Stop()
		}, w.Close}
	}},
	{"timingwheel", func(_ testing.TB, n int) rival {
		tw := startLibrary()
		for range n {
			tw.AfterFunc(benchIdle, func() {})
		}
		return rival{func(int) { tw.AfterFunc(benchIdle, func() {}).Stop() }, tw.Stop}
	}},
	{"time.AfterFunc", func(_ testing.TB, n int) rival {
		return rival{func(int) { time.AfterFunc(benchIdle, func() {}).Stop() }, runtimeTimers(n)}
	}},
	{"time.Timer", func(_ testing.TB, n int) rival {
		t := time.AfterFunc(benchIdle, func() {})
		t.Stop()
		return rival{func(int) {
			t.Reset(benchIdle)
			t.Stop()
		}, runtimeTimers(n)}
	}},
}

func runtimeTimers(n int) (stop func()) {
	timers := make([]*time.Timer, n)
	for i := range timers {
		timers[i] = time.AfterFunc(benchIdle, func() {})
	}
	return func() {
		for _, t := range timers {
			t.Stop()
		}
	}
}

// BenchmarkArmStop arms a timer and stops it.
func BenchmarkArmStop(b *testing.B) {
	for _, n := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("pending=%d", n), func(b *testing.B) {
			for _, c := range armings {
				compete(b, c, n, func(b *testing.B, r rival) {
					for b.Loop() {
						r.work(0)
					}
				})
			}
		})
	}
}

// registrations register the i-th session and close it again, beside n others.
var registrations = []contender{
	{"sessionwheel", func(tb testing.TB, n int) rival {
		p, _ := benchPool(tb, n)
		return rival{func(i int) {
			s, err := p.Register(int64(n+i), benchConn)
			if err != nil {
				panic(err)
			}
			s.Close("done")
		}, func() { stopPool(tb, p) }}
	}},
	{"timingwheel", func(_ testing.TB, n int) rival {
		m, stop := libraryMap()
		for i := range n {
			m.register(int64(i), benchConn, benchIdle)
		}
		return rival{func(i int) { m.register(int64(n+i), benchConn, benchIdle).close() }, stop}
	}},
	{"time.Timer", func(_ testing.TB, n int) rival {
		m, stop := runtimeMap()
		for i := range n {
			m.register(int64(i), benchConn, benchIdle)
		}
		return rival{func(i int) { m.register(int64(n+i), benchConn, benchIdle).close() }, stop}
	}},
	{"sweep", func(_ testing.TB, n int) rival {
		w := startSweep(benchIdle, time.Hour) // so that no walk is measured
		for i := range n {
			w.register(int64(i), benchConn)
		}
		return rival{func(i int) { w.register(int64(n+i), benchConn).close() }, w.stop}
	}},
}

// BenchmarkRegisterClose registers sessions and closes them, on all processors.
func BenchmarkRegisterClose(b *testing.B) {
	const n = 100_000
	b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
		for _, c := range registrations {
			compete(b, c, n, func(b *testing.B, r rival) {
				var workers atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					i := int(workers.Add(1)) << 40
					for ; pb.Next(); i++ {
						r.work(i)
					}
				})
			})
		}
	})
}
