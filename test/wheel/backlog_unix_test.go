//go:build unix

package wheel_test

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// heldUp returns a wheel that waits for callbacks to end, and goes on waiting.
func heldUp(t *testing.T) *wheel.Wheel {
	t.Helper()
	w, err := wheel.New(wheel.Config{MaxCallbacks: 1})
	require.NoError(t, err)
	w.AfterFunc(0, func() { select {} })
	for range 20_000 {
		w.AfterFunc(50*time.Millisecond, func() {})
	}
	for st := w.Stats(); st.Waiting < 2000; st = w.Stats() {
		time.Sleep(time.Millisecond)
	}
	return w
}

// A process is stopped while its wheel waits for callbacks to end.
func TestBacklog_DoesNotHideAFreezeOfTheProcess(t *testing.T) {
	const stopped = 2 * time.Second
	if os.Getenv(harness.HelperEnv) != "" {
		w := heldUp(t)
		fmt.Println("waits")
		var from, to time.Duration
		for end := time.Now().Add(30 * time.Second); to-from < stopped/2 && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
			from, to = w.LastStall()
		}
		fmt.Println(int64(to - from))
		return
	}
	t.Parallel() // it waits for a process of its own
	cmd := harness.Helper(t, "backlog")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var waits string
	_, err = fmt.Fscan(out, &waits)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
	time.Sleep(stopped)
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	var stall int64
	_, err = fmt.Fscan(out, &stall)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, out)
	require.NoError(t, cmd.Wait())
	require.Greater(t, time.Duration(stall), stopped/2)
}

// A process is stopped again and again, for less than a second each time, while its wheel
// waits for callbacks to end.
func TestBacklog_DoesNotHideShortFreezesOfTheProcess(t *testing.T) {
	const (
		stopped = 400 * time.Millisecond
		times   = 4
	)
	if os.Getenv(harness.HelperEnv) != "" {
		w := heldUp(t)
		for range times {
			began := w.Elapsed()
			fmt.Println("waits")
			var thawed string
			_, err := fmt.Scan(&thawed)
			require.NoError(t, err)
			noticed := func() bool { _, to := w.LastStall(); return to > began }
			for end := time.Now().Add(5 * time.Second); !noticed() && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
			fmt.Println(noticed())
		}
		return
	}
	t.Parallel() // it waits for a process of its own
	cmd := harness.Helper(t, "backlog")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	for range times {
		var waits string
		_, err = fmt.Fscan(out, &waits)
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
		time.Sleep(stopped)
		require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
		_, err = fmt.Fprintln(in, "thawed")
		require.NoError(t, err)
		var noticed bool
		_, err = fmt.Fscan(out, &noticed)
		require.NoError(t, err)
		require.True(t, noticed)
	}
	_, _ = io.Copy(io.Discard, out)
	require.NoError(t, cmd.Wait())
}
