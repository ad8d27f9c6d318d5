//go:build unix

package wheel_test

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// coarseClock would make Touch cheaper than reading the clock: a ticker stores the
// time once a millisecond. The wheel has no such clock, and the tests below show
// why: a touch that read it would set a deadline that is too early by as much as
// the ticker is behind, which has no bound.
type coarseClock struct {
	start time.Time
	now   atomic.Int64
}

// startCoarseClock starts a clock that runs until the process ends.
func startCoarseClock() *coarseClock {
	c := &coarseClock{start: time.Now()}
	go func() {
		for range time.Tick(time.Millisecond) {
			c.now.Store(int64(time.Since(c.start)))
		}
	}()
	return c
}

// behind returns by how much a deadline set now would be too early.
func (c *coarseClock) behind() time.Duration {
	now := time.Since(c.start) // read first, so that the result is never too large
	return now - time.Duration(c.now.Load())
}

// coarseWatch has some goroutines read the clock until it is behind by more than enough, or
// span has passed, and prints the most that it was behind.
func coarseWatch(c *coarseClock, watchers int, enough, span time.Duration) {
	var worst atomic.Int64
	var watching sync.WaitGroup
	for range watchers {
		watching.Go(func() {
			for end := time.Now().Add(span); worst.Load() <= int64(enough) && time.Now().Before(end); {
				behind := int64(c.behind())
				for most := worst.Load(); behind > most && !worst.CompareAndSwap(most, behind); most = worst.Load() {
				}
			}
		})
	}
	watching.Wait()
	fmt.Println(worst.Load())
}

// coarseBehind reads what the helper printed first.
func coarseBehind(t *testing.T, out io.Reader) time.Duration {
	t.Helper()
	var behind int64
	_, err := fmt.Fscan(out, &behind)
	require.NoError(t, err)
	return time.Duration(behind)
}

func TestCoarseClock_WouldBeEarlyInAProcessThatWasStopped(t *testing.T) {
	const stopped, watchers = 500 * time.Millisecond, 7
	if os.Getenv(harness.HelperEnv) != "" {
		c := startCoarseClock()
		time.Sleep(10 * time.Millisecond)
		fmt.Println("ready")
		coarseWatch(c, watchers, stopped/2, stopped+time.Second)
		return
	}
	t.Parallel() // it waits for a process of its own

	for range 10 { // after the stop the ticker may be quicker than each watcher
		cmd := harness.Helper(t, "coarse")
		cmd.Env = append(cmd.Env, fmt.Sprint("GOMAXPROCS=", watchers))
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		var ready string
		_, err = fmt.Fscan(out, &ready)
		require.NoError(t, err)
		time.Sleep(100 * time.Millisecond)
		require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
		time.Sleep(stopped)
		require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
		behind := coarseBehind(t, out)
		_, _ = io.Copy(io.Discard, out)
		require.NoError(t, cmd.Wait())
		t.Logf("a touch right after a stop of %v would have been %v early", stopped, behind)
		if behind > stopped/2 {
			return
		}
	}
	t.Fatal("the clock was never behind by half of the stop: a coarse clock may be worth another look")
}

func TestCoarseClock_WouldBeEarlyWhenItsTickerStarves(t *testing.T) {
	const busy, enough = 20, 20 * time.Millisecond // two ticks of the wheel
	if os.Getenv(harness.HelperEnv) != "" {
		c := startCoarseClock()
		for range busy {
			go func() {
				for c.now.Load() >= 0 { // for ever
				}
			}()
		}
		coarseWatch(c, 1, enough, 30*time.Second)
		return
	}
	cmd := harness.Helper(t, "starved")
	cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	behind := coarseBehind(t, out)
	_, _ = io.Copy(io.Discard, out)
	require.NoError(t, cmd.Wait())
	t.Logf("a touch beside %d busy goroutines on one processor would have been %v early", busy, behind)
	require.Greater(t, behind, enough)
}
