package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is for what must happen, however busy the machine is.
const patience = 60 * time.Second

// TestMain runs the program itself, or a broker, in place of the tests, in the
// processes that the tests start.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("SESSIONWHEEL_TEST_BROKER") != "":
		os.Exit(runBroker(os.Getenv("SESSIONWHEEL_TEST_BROKER")))
	case os.Getenv("SESSIONWHEEL_TEST_PROGRAM") != "":
		main()
	default:
		os.Exit(m.Run())
	}
}

// command prepares a process of the program. It is killed with the test.
func command(t *testing.T, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), "SESSIONWHEEL_TEST_PROGRAM=1", "GOCOVERDIR="+t.TempDir(),
		"TMPDIR="+t.TempDir(),      // for what a process that is killed leaves behind
		"GORACE=atexit_sleep_ms=0") // the race detector would wait for a second at each exit
	return cmd
}

// outcome is what a process left behind.
type outcome struct {
	out, err string
	status   int
}

// program runs the program to its end.
func program(t *testing.T, args ...string) outcome {
	t.Helper()
	return ending(t, command(t, args...))
}

// ending runs a process to its end.
func ending(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	return outcome{status: status(t, cmd.Run()), out: out.String(), err: stderr.String()}
}

func status(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "%v", err)
	return exit.ExitCode()
}

// oneErrorLine requires that a process wrote one line on standard error and
// nothing else, with all of the words in it.
func (o outcome) oneErrorLine(t *testing.T, words ...string) {
	t.Helper()
	require.Empty(t, o.out)
	require.Equal(t, 1, strings.Count(o.err, "\n"), "%q", o.err)
	require.True(t, strings.HasPrefix(o.err, "sessionwheel: "), "%q", o.err)
	for _, w := range words {
		require.Contains(t, o.err, w)
	}
}

// process is a running program whose standard error can be waited on.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   bytes.Buffer // standard output; read it after wait
	lines chan struct{}
	ended chan struct{} // standard error is at its end

	mu  sync.Mutex
	log strings.Builder // guarded by mu: standard error
}

// launch starts the program and leaves it running.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	return launchTo(t, nil, args...)
}

// launchTo is launch with another standard output than p.out.
func launchTo(t *testing.T, out io.Writer, args ...string) *process {
	t.Helper()
	return start(t, out, command(t, args...))
}

// start starts a process whose standard output is out, or p.out for nil.
func start(t *testing.T, out io.Writer, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, lines: make(chan struct{}, 1), ended: make(chan struct{})}
	if p.cmd.Stdout = out; out == nil {
		p.cmd.Stdout = &p.out
	}
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
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
		_ = p.cmd.Process.Kill()
		<-p.ended
		_ = p.cmd.Wait()
	})
	return p
}

func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// await waits until standard error matches, and returns the first group.
func (p *process) await(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		if m := re.FindStringSubmatch(p.logged()); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-p.lines:
		case <-p.ended:
			m := re.FindStringSubmatch(p.logged())
			require.NotNil(p.t, m, "ended without %q:\n%s", pattern, p.logged())
			return m[len(m)-1]
		case <-deadline:
			require.FailNow(p.t, "not logged in time", "%q in:\n%s", pattern, p.logged())
		}
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// wait waits for the end and returns the exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.FailNow(p.t, "the process goes on", "%s", p.logged())
	}
	return status(p.t, p.cmd.Wait())
}

// serving starts serve on a free port and returns its address.
func serving(t *testing.T, args ...string) (p *process, addr string) {
	t.Helper()
	return listening(t, command(t, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...))
}

// listening starts a process of serve and returns its address.
func listening(t *testing.T, cmd *exec.Cmd) (p *process, addr string) {
	t.Helper()
	p = start(t, nil, cmd)
	return p, p.await(`listening\W+addr\W+(127\.0\.0\.1:\d+)`)
}
