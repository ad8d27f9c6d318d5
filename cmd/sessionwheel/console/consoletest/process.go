package consoletest

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Process is a running program whose standard error can be waited on.
type Process struct {
	Cmd *exec.Cmd
	Out bytes.Buffer // standard output; read it after Wait

	t     *testing.T
	lines chan struct{}
	ended chan struct{} // standard error is at its end

	mu  sync.Mutex
	log strings.Builder // guarded by mu: standard error
}

// Launch starts the program and leaves it running.
func Launch(t *testing.T, args ...string) *Process {
	t.Helper()
	return LaunchTo(t, nil, args...)
}

// LaunchTo is Launch with another standard output than Process.Out.
func LaunchTo(t *testing.T, out io.Writer, args ...string) *Process {
	t.Helper()
	return Start(t, out, Command(t, args...))
}

// Start starts a process whose standard output is out, or Process.Out for nil.
func Start(t *testing.T, out io.Writer, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{t: t, Cmd: cmd, lines: make(chan struct{}, 1), ended: make(chan struct{})}
	if p.Cmd.Stdout = out; out == nil {
		p.Cmd.Stdout = &p.Out
	}
	stderr, err := p.Cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.Cmd.Start())
	go func() { // ends with the process
		defer close(p.ended)
		for sc := bufio.NewScanner(stderr); sc.Scan(); {
			p.mu.Lock()
			p.log.WriteString(sc.Text() + "\n")
			p.mu.Unlock()
			select {
			case p.lines <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		_ = p.Cmd.Process.Kill()
		<-p.ended
		_ = p.Cmd.Wait()
	})
	return p
}

// Logged is what the process has written on standard error so far.
func (p *Process) Logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Await waits until standard error matches, and returns the last group.
func (p *Process) Await(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(Patience)
	for {
		if m := re.FindStringSubmatch(p.Logged()); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-p.lines:
		case <-p.ended:
			m := re.FindStringSubmatch(p.Logged())
			require.NotNil(p.t, m, "ended without %q:\n%s", pattern, p.Logged())
			return m[len(m)-1]
		case <-deadline:
			require.FailNow(p.t, "not logged in time", "%q in:\n%s", pattern, p.Logged())
		}
	}
}

// Signal sends the process a signal.
func (p *Process) Signal(sig syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.Cmd.Process.Signal(sig))
}

// Wait waits for the end and returns the exit status.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(Patience):
		require.FailNow(p.t, "the process goes on", "%s", p.Logged())
	}
	return Status(p.t, p.Cmd.Wait())
}
