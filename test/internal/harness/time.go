package harness

import (
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Tick is the default resolution of a wheel: what is due ends within it.
const Tick = 10 * time.Millisecond

// Patience is how long a test waits for what must happen.
const Patience = time.Minute

// Next waits for the next value from ch.
func Next[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		require.FailNow(t, "it did not happen")
		panic("unreachable")
	}
}

// Until waits for a condition, for which it looks less often the longer it waits.
func Until(t testing.TB, condition func() bool) {
	t.Helper()
	pause := time.Millisecond
	for deadline := time.Now().Add(Patience); !condition(); pause = min(2*pause, 100*time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNow(t, "it did not happen")
		}
		time.Sleep(pause)
	}
}

// Bubble runs f on fake time. A goroutine that waits for a mutex keeps fake
// time from moving, and so does one that spins. A watchdog on real time turns
// both into a failure that shows all stacks.
func Bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	name := t.Name()
	watchdog := time.AfterFunc(2*time.Minute, func() {
		debug.SetTraceback("all")
		panic(name + ": a lock is never released, or something spins")
	})
	defer watchdog.Stop()
	synctest.Test(t, f)
}
