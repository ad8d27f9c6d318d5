//go:build unix

package pool_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

const (
	refreezeIdle  = 300 * time.Millisecond
	refreezeFor   = 800 * time.Millisecond
	refreezeGrace = 250 * time.Millisecond

	// Sessions of a round: one that is silent throughout; one that is touched at
	// the first thaw; one that is registered then, and due soon.
	refreezeSilent, refreezeTouched, refreezeFresh = 0, 1, 2
)

// refreezeRound is what a process that was stopped twice in a row observed. Times
// are since its start.
type refreezeRound struct {
	Froze, Thawed [2]time.Duration
	Ended         [3]time.Duration
	Reasons       [3]pool.Reason
}

// A process is stopped for longer than the idle timeout, and again within the
// moment that sessions have after the first stop. The silent session has had its
// moment and ends at once. The others, which were active or registered since then,
// have one as well.
//
// Whether the second stop comes in time, and what ends first, depends on the
// machine, so there are a few rounds in which it does, and one of them must go as
// described.
func TestFreeze_GivesTheMomentAfterItOnce(t *testing.T) {
	if os.Getenv(harness.HelperEnv) != "" {
		refreezeServe(t)
		return
	}
	t.Parallel() // it waits for a process of its own
	cmd := harness.Helper(t, "refreeze")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Wait() }) //nolint:errcheck // if it still runs, the end of the test's context has killed it
	lines := bufio.NewScanner(stdout)
	for begun, inTime := time.Now(), 0; inTime < 6 && time.Since(begun) < 2*harness.Patience; {
		_, err := io.WriteString(stdin, "round\n")
		require.NoError(t, err)
		for range 2 {
			require.True(t, lines.Scan(), "the helper has ended")
			refreezeStop(t, cmd)
		}
		require.True(t, lines.Scan(), "the helper has ended")
		var r refreezeRound
		require.NoError(t, json.Unmarshal(lines.Bytes(), &r))
		t.Logf("%+v", r)
		if r.asDescribed() {
			require.NoError(t, stdin.Close())
			require.NoError(t, cmd.Wait())
			return
		}
		if r.inTime() {
			inTime++
		}
	}
	t.Fatal("no round went as described")
}

func refreezeStop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
	time.Sleep(refreezeFor)
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
}

// inTime reports whether the second stop came within the moment after the first.
func (r *refreezeRound) inTime() bool { return r.Froze[1] < r.Thawed[0]+refreezeGrace/2 }

func (r *refreezeRound) asDescribed() bool {
	for _, reason := range r.Reasons {
		if reason != pool.Timeout {
			return false
		}
	}
	silent := r.Ended[refreezeSilent]
	return r.inTime() &&
		silent >= r.Froze[1] && // it had its moment after the first stop
		silent+refreezeGrace/2 < r.Ended[refreezeTouched] &&
		silent+refreezeGrace/2 < r.Ended[refreezeFresh]
}

// refreezeServe does a round for each line of its input.
func refreezeServe(t *testing.T) {
	start := time.Now()
	var mu sync.Mutex
	var r refreezeRound
	p := newPool(t, testConfig{IdleTimeout: refreezeIdle, OnSessionClosed: func(s *testSession, reason pool.Reason) {
		mu.Lock()
		defer mu.Unlock()
		r.Ended[s.ID()], r.Reasons[s.ID()] = time.Since(start), reason
	}})
	// frozen asks to be stopped once everything is blocked, and returns when the
	// process was stopped and when it went on.
	frozen := func() (from, to time.Duration) {
		time.Sleep(refreezeGrace / 10)
		from = time.Since(start)
		os.Stdout.WriteString("\n")
		for {
			time.Sleep(time.Millisecond)
			if to = time.Since(start); to-from > refreezeFor/2 {
				return from, to
			}
			from = to
		}
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan() && strings.TrimSpace(in.Text()) == "round"; {
		mu.Lock()
		r = refreezeRound{}
		mu.Unlock()
		silent, touched := mustRegister(t, p, refreezeSilent), mustRegister(t, p, refreezeTouched)
		from, to := frozen()
		touched.Touch()
		fresh := mustRegister(t, p, refreezeFresh)
		fresh.SetIdleTimeout(refreezeGrace / 2)
		from2, to2 := frozen()
		for _, s := range []*testSession{silent, touched, fresh} {
			<-s.Done()
		}
		mu.Lock()
		r.Froze, r.Thawed = [2]time.Duration{from, from2}, [2]time.Duration{to, to2}
		text, err := json.Marshal(r)
		mu.Unlock()
		require.NoError(t, err)
		os.Stdout.Write(append(text, '\n'))
	}
}
