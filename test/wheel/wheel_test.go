package wheel_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// onFakeTime runs f in a bubble with a wheel of its own.
func onFakeTime(t *testing.T, c wheel.Config, f func(t *testing.T, w *wheel.Wheel)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, harness.NewWheel(t, c)) })
}

// sleep lets d pass, and waits for what it has set off.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// firing counts the runs of a callback and keeps the wheel's time of the last.
type firing struct{ runs, at atomic.Int64 }

func (f *firing) on(w *wheel.Wheel) func() {
	return func() {
		f.at.Store(int64(w.Elapsed()))
		f.runs.Add(1)
	}
}

func (f *firing) last() time.Duration { return time.Duration(f.at.Load()) }

// holder is what a timer's callback keeps in memory.
type holder struct {
	timer wheel.Timer
	_     [1 << 10]byte
	calls atomic.Int64
}

// newGate returns a channel from which callbacks receive once open is called, or
// the test or its bubble ends.
func newGate(t *testing.T) (gate chan struct{}, open func()) {
	gate = make(chan struct{})
	open = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	return gate, open
}
