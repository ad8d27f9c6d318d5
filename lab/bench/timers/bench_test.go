package timers

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// idleTimeout is the timeout of sessions that must not time out.
const idleTimeout = 5 * time.Minute

// benchmark runs f with n registered sessions of each implementation that
// supports op.
func benchmark(b *testing.B, op string, n int, f func(*testing.B, Sessions)) {
	for _, impl := range All() {
		if _, unsupported := impl.Unsupported[op]; unsupported {
			continue
		}
		b.Run(fmt.Sprintf("impl=%s/sessions=%d", impl.Name, n), func(b *testing.B) {
			s, err := impl.New(Config{N: n, Idle: idleTimeout, Keep: true})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Stop()
			for id := range int64(n) {
				s.Register(id, idleTimeout)
			}
			runtime.GC()
			b.ReportAllocs()
			f(b, s)
		})
	}
}

// BenchmarkTouchHot touches one session on one goroutine.
func BenchmarkTouchHot(b *testing.B) {
	benchmark(b, Touch, 1, func(b *testing.B, s Sessions) {
		for b.Loop() {
			s.Touch(0)
		}
	})
}

// BenchmarkTouch touches sessions in a scattered order on every processor.
func BenchmarkTouch(b *testing.B) {
	const n, stride = 10_000, 6_181 // coprime
	var starts atomic.Int64
	benchmark(b, Touch, n, func(b *testing.B, s Sessions) {
		b.RunParallel(func(pb *testing.PB) {
			for id := starts.Add(stride) % n; pb.Next(); id = (id + stride) % n {
				s.Touch(id)
			}
		})
	})
}

// BenchmarkArmStop arms a timer and stops it.
func BenchmarkArmStop(b *testing.B) {
	benchmark(b, ArmStop, 10_000, func(b *testing.B, s Sessions) {
		armStop := s.(Armer).NewArm()
		for b.Loop() {
			armStop()
		}
	})
}

// BenchmarkRegisterClose registers a session and closes it.
func BenchmarkRegisterClose(b *testing.B) {
	benchmark(b, Register, 10_000, func(b *testing.B, s Sessions) {
		id := int64(10_000)
		for b.Loop() {
			id++
			s.RegisterClose(id)
		}
	})
}
