package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// program returns a command that runs this program.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "WEBSOCKET_TEST_PROGRAM=1", "GOCOVERDIR="+t.TempDir(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// process is a running server.
type process struct {
	cmd    *exec.Cmd
	addr   string
	stderr *bufio.Reader
}

func launch(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{cmd: program(t, append([]string{"--addr", "127.0.0.1:0"}, args...)...)}
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	p.stderr = bufio.NewReader(stderr)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	_, p.addr, _ = strings.Cut(strings.TrimSpace(p.says(t, "open http://")), "http://")
	return p
}

// says reads the program's log up to a line that contains the text.
func (p *process) says(t *testing.T, text string) string {
	t.Helper()
	for {
		line, err := p.stderr.ReadString('\n')
		require.NoError(t, err, "it never said %q", text)
		if strings.Contains(line, text) {
			return line
		}
	}
}

// ends waits until the process has ended and returns its status, or -1 if a signal
// ended it.
func (p *process) ends(t *testing.T) (status int, log string) {
	t.Helper()
	kill := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	rest, err := io.ReadAll(p.stderr)
	require.NoError(t, err)
	_ = p.cmd.Wait() // the status is checked by the caller
	require.True(t, kill.Stop(), "the program goes on: %s", rest)
	return p.cmd.ProcessState.ExitCode(), string(rest)
}

func TestFlags_ErrorNamesTheFlagAndHelpIsPrinted(t *testing.T) {
	t.Parallel()
	addr := serve(t, time.Minute).addr
	for _, tt := range []struct {
		args   string
		status int
		says   string
	}{
		{"--help", 0, "-timeout time"},
		{"--timeout 0s", 2, "--timeout must be 1s or more"},
		{"--timeout 60", 2, `invalid value "60" for flag -timeout`},
		{"--nope", 2, "-nope"},
		{"stray", 2, "no arguments except flags"},
		{"--addr " + addr, 1, "websocket: --addr " + addr + ": listen tcp " + addr},
		{"--addr nowhere", 1, "websocket: --addr nowhere: "},
	} {
		var said bytes.Buffer
		cmd := program(t, strings.Fields(tt.args)...)
		cmd.Stderr = &said
		err := cmd.Run()
		var exit *exec.ExitError
		require.True(t, err == nil || errors.As(err, &exit), "%v", err)
		require.Equal(t, tt.status, cmd.ProcessState.ExitCode(), tt.args)
		require.Contains(t, said.String(), tt.says)
	}
}

func TestSignal_TellsAllPeersAndEndsWithStatusZero(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := launch(t)
		ann := dial(t, p.addr, "lobby", "ann", nil).joined("ann")
		bob := dial(t, p.addr, "lobby", "bob", nil).joined("bob")
		require.NoError(t, p.cmd.Process.Signal(signal))
		require.Equal(t, closed(websocket.StatusGoingAway, "Shutdown"), ann.ending())
		require.Equal(t, closed(websocket.StatusGoingAway, "Shutdown"), bob.ending())
		status, log := p.ends(t)
		require.Zero(t, status, log)
		require.Contains(t, log, "the server is going away")
	}
}

func TestTimeoutFlag_IsTheIdleTimeout(t *testing.T) {
	t.Parallel()
	p := launch(t, "--timeout", "10s")
	start := time.Now()
	ann := dial(t, p.addr, "lobby", "ann", &websocket.DialOptions{OnPingReceived: deaf})
	require.Equal(t, closed(websocket.StatusPolicyViolation, "Timeout"), ann.ending())
	require.GreaterOrEqual(t, time.Since(start), 10*time.Second)
	require.Contains(t, p.says(t, "reason"), "reason=Timeout")
}

func TestSignal_SecondOneEndsTheProgramAtOnce(t *testing.T) {
	t.Parallel()
	p := launch(t, "--drain-over", "1h")
	dial(t, p.addr, "lobby", "ann", nil).joined("ann")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.says(t, "going away")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	status, log := p.ends(t)
	require.Equal(t, -1, status, log)
}
