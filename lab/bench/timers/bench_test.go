package timers

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// idle is the timeout of the sessions that must not time out.
const idle = 5 * time.Minute

// benchmark runs f for each implementation that can do the work, with n
// sessions in its table.
func benchmark(b *testing.B, work string, n int, f func(*testing.B, Sessions)) {
	for _, impl := range All() {
		if _, not := impl.Not[work]; not {
			continue
		}
		b.Run(fmt.Sprintf("impl=%s/sessions=%d", impl.Name, n), func(b *testing.B) {
			s, err := impl.New(Config{N: n, Idle: idle, Keep: true})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Stop()
			for id := range int64(n) {
				s.Register(id, idle)
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
