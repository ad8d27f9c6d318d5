// Package consoletest runs a program's test binary as the program itself, so that
// tests see what a user sees: output, errors, exit statuses, signals.
package consoletest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

// Patience is how long a test waits for what must happen, however busy the machine
// is.
const Patience = 60 * time.Second

// programEnv is set in the processes that are the program.
const programEnv = "SESSIONWHEEL_TEST_PROGRAM"

// Main runs the program instead of the tests in the processes that the tests start.
// Call it from TestMain.
func Main(m *testing.M, program func()) {
	if os.Getenv(programEnv) != "" {
		program()
		return
	}
	// Parallel tests spend most of their time waiting for processes.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// Command prepares a process of the program. It is killed with the test.
func Command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*Patience)
	t.Cleanup(cancel)
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), programEnv+"=1", "GOCOVERDIR="+t.TempDir(),
		"TMPDIR="+t.TempDir(),      // for what a process that is killed leaves behind
		"GORACE=atexit_sleep_ms=0") // the race detector would wait for a second at each exit
	return cmd
}

// Outcome is what a process left behind.
type Outcome struct {
	Out, Err string
	Status   int
}

// Run runs the program to its end.
func Run(t *testing.T, args ...string) Outcome {
	t.Helper()
	return End(t, Command(t, args...))
}

// End runs a process to its end.
func End(t *testing.T, cmd *exec.Cmd) Outcome {
	t.Helper()
	var out, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &stderr
	return Outcome{Status: Status(t, cmd.Run()), Out: out.String(), Err: stderr.String()}
}

// Parse runs a command line that is wrong, or asks for help, within this process.
func Parse(p console.Program, args ...string) Outcome {
	var out, stderr bytes.Buffer
	status := p.Run(args, console.Std{Out: &out, Err: &stderr})
	return Outcome{Status: status, Out: out.String(), Err: stderr.String()}
}

// Status is the exit status that an error of exec.Cmd means.
func Status(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "%v", err)
	return exit.ExitCode()
}

// OneErrorLine requires that a process wrote one line on standard error and
// nothing else, with all of the words in it.
func (o Outcome) OneErrorLine(t *testing.T, words ...string) {
	t.Helper()
	require.Empty(t, o.Out)
	require.Equal(t, 1, strings.Count(o.Err, "\n"), "%q", o.Err)
	require.True(t, strings.HasPrefix(o.Err, "sessionwheel: "), "%q", o.Err)
	for _, w := range words {
		require.Contains(t, o.Err, w)
	}
}

// Prints requires that a process succeeded, and returns what it printed.
func (o Outcome) Prints(t *testing.T) string {
	t.Helper()
	require.Zero(t, o.Status, o.Err)
	require.Empty(t, o.Err)
	return o.Out
}
