package sessionwheel_test

import (
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// expiring arms n timers, or registers n sessions, that all expire at one
// instant, each of which then calls expired once.
type expiring struct {
	name string
	arm  func(tb testing.TB, n int, at time.Time, expired func()) (stop func())
}

var expiringTimers = []expiring{
	{"wheel", func(tb testing.TB, n int, at time.Time, expired func()) func() {
		w := benchWheel(tb)
		timers := make([]wheel.Timer, n)
		for i := range timers {
			timers[i].Init(w, expired)
			timers[i].Reset(time.Until(at))
		}
		return w.Close
	}},
	{"timingwheel", func(_ testing.TB, n int, at time.Time, expired func()) func() {
		tw := startLibrary()
		for range n {
			tw.AfterFunc(time.Until(at), expired)
		}
		return tw.Stop
	}},
	{"time.AfterFunc", func(_ testing.TB, n int, at time.Time, expired func()) func() {
		for range n {
			time.AfterFunc(time.Until(at), expired)
		}
		return func() {}
	}},
}

const sweepInterval = time.Second

var expiringSessions = []expiring{
	{"sessionwheel", func(tb testing.TB, n int, at time.Time, expired func()) func() {
		p, err := pool.New(pool.Config[int64, io.Closer]{IdleTimeout: benchIdle})
		require.NoError(tb, err)
		conn := closerFunc(expired)
		for i := range n {
			s, err := p.Register(int64(i), conn)
			require.NoError(tb, err)
			s.SetIdleTimeout(max(time.Until(at), 1)) // none is for ever
		}
		return func() { stopPool(tb, p) }
	}},
	{"timingwheel", func(_ testing.TB, n int, at time.Time, expired func()) func() {
		m, stop := libraryMap()
		conn := closerFunc(expired)
		for i := range n {
			m.register(int64(i), conn, time.Until(at))
		}
		return stop
	}},
	// A session comes due at any time between two walks: here it is halfway,
	// which is the mean.
	{"sweep", func(_ testing.TB, n int, at time.Time, expired func()) func() {
		time.Sleep((time.Until(at) - sweepInterval/2) % sweepInterval)
		w := startSweep(benchIdle, sweepInterval)
		conn := closerFunc(expired)
		for i := range n {
			w.register(int64(i), conn).active.Store(int64(at.Add(-benchIdle).Sub(w.start)))
		}
		return w.stop
	}},
}

// expiry is what came of n that expired at one instant.
type expiry struct {
	late       time.Duration // of the last
	early      int
	goroutines int // the most that there were beside those of before
}

// expireAtOnce arms n and waits until all have expired. It leaves time enough to
// arm them before they come due, and more when that was not enough.
func expireAtOnce(tb testing.TB, x expiring, n int) expiry {
	for lead := 200*time.Millisecond + time.Duration(n)*4*time.Microsecond; ; lead *= 2 {
		if e, ok := expireIn(tb, x, n, lead); ok {
			return e
		}
		require.Less(tb, lead, time.Minute, "arming takes for ever")
	}
}

// expireIn reports false if it was still arming when the first came due.
func expireIn(tb testing.TB, x expiring, n int, lead time.Duration) (e expiry, ok bool) {
	before := runtime.NumGoroutine()
	at := time.Now().Add(lead)
	var (
		count, early, peak atomic.Int64
		late               time.Duration
		all                = make(chan struct{})
	)
	sample := func() {
		g := int64(runtime.NumGoroutine())
		for old := peak.Load(); g > old && !peak.CompareAndSwap(old, g); old = peak.Load() {
		}
	}
	stop := x.arm(tb, n, at, func() {
		now := time.Since(at)
		if now < 0 {
			early.Add(1)
		}
		c := count.Add(1)
		if c%64 == 0 {
			sample()
		}
		if c == int64(n) {
			late = now
			close(all)
		}
	})
	defer stop()
	ok = time.Until(at) > 0
	for {
		select {
		case <-all:
			return expiry{late, int(early.Load()), int(peak.Load()) - before}, ok
		case <-time.After(time.Millisecond):
			sample()
			require.Less(tb, time.Since(at), 5*time.Minute, "%d of %d have expired", count.Load(), n)
		}
	}
}

func benchExpiry(b *testing.B, contenders []expiring, of string) {
	const n = 1_000_000
	b.Run(fmt.Sprintf("%s=%d", of, n), func(b *testing.B) {
		for _, x := range contenders {
			b.Run("impl="+x.name, func(b *testing.B) {
				var sum, worst expiry
				for b.Loop() {
					e := expireAtOnce(b, x, n)
					sum.late += e.late
					sum.early += e.early
					worst.goroutines = max(worst.goroutines, e.goroutines)
				}
				b.ReportMetric(0, "ns/op") // it would be the wait
				b.ReportMetric(float64(sum.late.Milliseconds())/float64(b.N), "last_late_ms")
				b.ReportMetric(float64(sum.early)/float64(b.N), "early")
				b.ReportMetric(float64(worst.goroutines), "peak_goroutines")
				runtime.GC()
			})
		}
	})
}

// BenchmarkExpireTimers has a million timers fire at one instant.
func BenchmarkExpireTimers(b *testing.B) { benchExpiry(b, expiringTimers, "timers") }

// BenchmarkExpireSessions has a million sessions time out at one instant: each
// leaves its map and is closed.
func BenchmarkExpireSessions(b *testing.B) { benchExpiry(b, expiringSessions, "sessions") }

// BenchmarkMemory reports what a session with an int64 for its ID holds of the
// heap; the connection is shared and not counted.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
		for _, c := range registered {
			b.Run("impl="+c.name, func(b *testing.B) {
				var bytes uint64
				for b.Loop() {
					before := settledHeap()
					r := c.make(b, n)
					bytes += settledHeap() - before
					r.stop()
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(bytes)/float64(b.N)/n, "bytes/session")
			})
		}
	})
}

// registered hold n sessions and do nothing with them.
var registered = []contender{
	{"sessionwheel", func(tb testing.TB, n int) rival {
		p, err := pool.New(pool.Config[int64, io.Closer]{IdleTimeout: benchIdle})
		require.NoError(tb, err)
		for i := range n {
			_, err := p.Register(int64(i), benchConn)
			require.NoError(tb, err)
		}
		return rival{stop: func() { stopPool(tb, p) }}
	}},
	{"timingwheel", func(_ testing.TB, n int) rival {
		m, stop := libraryMap()
		for i := range n {
			m.register(int64(i), benchConn, benchIdle)
		}
		return rival{stop: stop}
	}},
	{"time.Timer", func(_ testing.TB, n int) rival {
		m, stop := runtimeMap()
		for i := range n {
			m.register(int64(i), benchConn, benchIdle)
		}
		return rival{stop: stop}
	}},
	{"sweep", func(_ testing.TB, n int) rival {
		w := startSweep(benchIdle, time.Hour)
		for i := range n {
			w.register(int64(i), benchConn)
		}
		return rival{stop: w.stop}
	}},
}

func settledHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
