package wheel_test

import (
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestMemory_OfATimerThatIsNotPendingIsCollected(t *testing.T) {
	for _, tt := range []struct {
		name string
		arm  time.Duration
		end  func(h *holder)
	}{
		{"stopped", time.Hour, func(h *holder) { h.timer.Stop() }},
		{"stopped, armed for ever", math.MaxInt64, func(h *holder) { h.timer.Stop() }},
		{"stopped after Extend", time.Hour, func(h *holder) { h.timer.Extend(9 * time.Hour); h.timer.Stop() }},
		{"stopped after Reset", time.Hour, func(h *holder) { h.timer.Reset(time.Second); h.timer.Stop() }},
		{"fired at once", time.Hour, func(h *holder) { h.timer.Reset(0) }},
		{"fired", time.Hour, func(h *holder) { h.timer.Reset(time.Millisecond) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := harness.NewWheel(t, wheel.Config{})
			const n = 300 // several of them in each slot of each shard
			var kept []*holder
			var gone []weak.Pointer[holder]
			for i := range n {
				h := new(holder)
				h.timer.Init(w, func() { h.calls.Add(1) })
				h.timer.Reset(tt.arm)
				if i%2 == 0 {
					kept = append(kept, h)
				}
				gone = append(gone, weak.Make(h))
			}
			for i, p := range gone {
				if i%2 == 1 {
					tt.end(p.Value())
				}
			}
			require.Eventually(t, func() bool {
				runtime.GC()
				for i, p := range gone {
					if i%2 == 1 && p.Value() != nil {
						return false
					}
				}
				return true
			}, 20*time.Second, time.Millisecond)
			for _, h := range kept {
				require.True(t, h.timer.Stop())
				require.Zero(t, h.calls.Load())
			}
			require.Zero(t, w.Len())
			runtime.KeepAlive(w)
		})
	}
}

func TestMemory_ArmingAnEmbeddedTimerAllocatesNothing(t *testing.T) {
	w := harness.NewWheel(t, wheel.Config{})
	var h holder
	h.timer.Init(w, func() { h.calls.Add(1) })
	h.timer.Reset(time.Hour)
	d := time.Hour
	for name, f := range map[string]func(){
		"Extend to later":   func() { d += time.Second; h.timer.Extend(d) },
		"Extend to earlier": func() { h.timer.Extend(time.Second) },
		"Reset to later":    func() { d += time.Second; h.timer.Reset(d) },
		"Reset to earlier":  func() { d -= time.Millisecond; h.timer.Reset(d) },
		"Stop and Reset":    func() { h.timer.Stop(); h.timer.Reset(d) },
		"Deadline":          func() { h.timer.Deadline() },
	} {
		require.Zero(t, testing.AllocsPerRun(1000, f), name)
	}
}

// TestMemory_OfAFiredTimerIsCollectedWhileOthersOfItsTickAreBlocked guards against what a
// batch of callbacks would keep in memory until its last one ends.
func TestMemory_OfAFiredTimerIsCollectedWhileOthersOfItsTickAreBlocked(t *testing.T) {
	const n = 100
	w := harness.NewWheel(t, wheel.Config{Tick: 10 * time.Millisecond, MaxCallbacks: n})
	gate, _ := newGate(t)
	var blocked atomic.Int64
	var gone []weak.Pointer[holder]
	for range n / 2 {
		h := new(holder)
		h.timer.Init(w, func() { h.calls.Add(1) })
		h.timer.Reset(time.Millisecond)
		gone = append(gone, weak.Make(h))
		w.AfterFunc(time.Millisecond, func() { blocked.Add(1); <-gate })
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		for _, p := range gone {
			if p.Value() != nil {
				return false
			}
		}
		return blocked.Load() == n/2
	}, harness.Patience, time.Millisecond)
}
