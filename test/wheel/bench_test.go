package wheel_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/RussellLuo/timingwheel"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// rival does the same work as the wheel, beside n pending timers.
type rival struct {
	name string
	make func(b *testing.B, n int) (work func(i int))
}

// runtimeTimers makes n timers that are stopped when the benchmark ends.
func runtimeTimers(b *testing.B, n int) []*time.Timer {
	timers := make([]*time.Timer, n)
	for i := range timers {
		timers[i] = time.AfterFunc(costDelay, func() {})
	}
	b.Cleanup(func() {
		for _, t := range timers {
			t.Stop()
		}
	})
	return timers
}

// extensions postpone the i-th of n timers. The library's cannot be postponed,
// only made again.
var extensions = []rival{
	{"wheel", func(b *testing.B, n int) func(int) {
		w := harness.NewWheel(b, wheel.Config{})
		timers := make([]*wheel.Timer, n)
		for i := range timers {
			timers[i] = w.AfterFunc(costDelay, func() {})
		}
		return func(i int) { timers[i].Extend(costDelay) }
	}},
	{"timingwheel", func(b *testing.B, n int) func(int) {
		tw := startLibrary(b)
		timers := make([]*timingwheel.Timer, n)
		for i := range timers {
			timers[i] = tw.AfterFunc(costDelay, func() {})
		}
		return func(i int) {
			timers[i].Stop()
			timers[i] = tw.AfterFunc(costDelay, func() {})
		}
	}},
	{"time.Timer", func(b *testing.B, n int) func(int) {
		timers := runtimeTimers(b, n)
		return func(i int) { timers[i].Reset(costDelay) }
	}},
}

// armings arm a timer and stop it again. time.AfterFunc makes a new timer each
// time, as the library must; time.Timer uses one timer again, as the wheel does.
var armings = []rival{
	{"wheel", func(b *testing.B, n int) func(int) {
		w := harness.NewWheel(b, wheel.Config{})
		for range n {
			w.AfterFunc(costDelay, func() {})
		}
		t := new(wheel.Timer)
		t.Init(w, func() {})
		return func(int) {
			t.Reset(costDelay)
			t.Stop()
		}
	}},
	{"timingwheel", func(b *testing.B, n int) func(int) {
		tw := startLibrary(b)
		for range n {
			tw.AfterFunc(costDelay, func() {})
		}
		return func(int) { tw.AfterFunc(costDelay, func() {}).Stop() }
	}},
	{"time.AfterFunc", func(b *testing.B, n int) func(int) {
		runtimeTimers(b, n)
		return func(int) { time.AfterFunc(costDelay, func() {}).Stop() }
	}},
	{"time.Timer", func(b *testing.B, n int) func(int) {
		runtimeTimers(b, n)
		t := time.AfterFunc(costDelay, func() {})
		t.Stop()
		return func(int) {
			t.Reset(costDelay)
			t.Stop()
		}
	}},
}

// BenchmarkExtend has one goroutine postpone timers at random. A thousand timers
// are hot, a million are not.
func BenchmarkExtend(b *testing.B) { benchRivals(b, "timers", extensions, 1_000, 1_000_000) }

// BenchmarkArmStop arms a timer and stops it.
func BenchmarkArmStop(b *testing.B) { benchRivals(b, "pending", armings, 1, 1_000_000) }

func benchRivals(b *testing.B, of string, rivals []rival, numbers ...int) {
	for _, n := range numbers {
		order := make([]uint32, 1<<20) // drawn beforehand
		for i := range order {
			order[i] = rand.Uint32N(uint32(n))
		}
		for _, r := range rivals {
			b.Run(fmt.Sprintf("%s=%d/impl=%s", of, n, r.name), func(b *testing.B) {
				work := r.make(b, n)
				runtime.GC()
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; b.Loop(); i++ {
					work(int(order[i%len(order)]))
				}
			})
		}
	}
}

// BenchmarkExpireTimers has a million timers fire at one instant. Those of the
// runtime take about 2.5 GB.
func BenchmarkExpireTimers(b *testing.B) {
	const n = 1_000_000
	for _, x := range []struct {
		name string
		arm  harness.Arm
	}{
		{"wheel", armTimers},
		{"timingwheel", armLibraryTimers},
		{"time.AfterFunc", func(_ testing.TB, n int, at time.Time, expired func()) func() {
			for range n {
				time.AfterFunc(time.Until(at), expired)
			}
			return func() {}
		}},
	} {
		b.Run(fmt.Sprintf("timers=%d/impl=%s", n, x.name), func(b *testing.B) {
			var sum, worst harness.Expiry
			for b.Loop() {
				e := harness.ExpireAtOnce(b, n, x.arm)
				sum.Late += e.Late
				sum.Early += e.Early
				worst.Goroutines = max(worst.Goroutines, e.Goroutines)
			}
			b.ReportMetric(0, "ns/op") // it would be the wait
			b.ReportMetric(float64(sum.Late.Milliseconds())/float64(b.N), "last_late_ms")
			b.ReportMetric(float64(sum.Early)/float64(b.N), "early")
			b.ReportMetric(float64(worst.Goroutines), "peak_goroutines")
			runtime.GC()
		})
	}
}
