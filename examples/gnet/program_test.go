//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// command returns a command that runs this test binary in a role. It is killed if the
// test takes too long.
func command(t testing.TB, role, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0")
	return cmd
}

func self(t testing.TB) string {
	exe, err := os.Executable()
	require.NoError(t, err)
	return exe
}

// program is a running server.
type program struct {
	cmd    *exec.Cmd
	addr   string
	log    *bufio.Reader // its log after the line with the address
	stdout bytes.Buffer
}

var listening = regexp.MustCompile(`msg=listening addr=(\S+)`)

func start(t testing.TB, args ...string) *program {
	t.Helper()
	cmd := command(t, "program", self(t), append([]string{"--addr", "127.0.0.1:0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	p := &program{cmd: cmd, log: bufio.NewReader(stderr)}
	cmd.Stdout = &p.stdout
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for p.addr == "" {
		line, err := p.log.ReadString('\n')
		require.NoError(t, err)
		if found := listening.FindStringSubmatch(line); found != nil {
			p.addr = found[1]
		}
	}
	return p
}

// ends sends a signal, waits until the process has ended and returns what it logged.
func (p *program) ends(t testing.TB, sig os.Signal) string {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(sig))
	log, err := io.ReadAll(p.log)
	require.NoError(t, err)
	require.NoError(t, p.cmd.Wait(), "%s", log)
	require.Empty(t, p.stdout.String(), "gnet has logged by itself")
	return string(log)
}

func TestSignal_DrainsAndEndsWithStatusZero(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := start(t, "--verbose")
		clients := make([]peer, 30)
		for i := range clients {
			clients[i] = dial(t, p.addr)
			clients[i].echo("x")
		}
		log := p.ends(t, sig)
		for _, c := range clients {
			require.Empty(t, c.closed())
		}
		require.Equal(t, 30, strings.Count(log, "msg=closed"), log)
		require.Equal(t, 30, strings.Count(log, "reason=Shutdown"), log)
		require.Contains(t, log, "msg=draining sessions=30")
		require.Contains(t, log, "registered=30 closed=30 refused=0 reasons=map[Shutdown:30]")
	}
}

func TestSignal_SecondOneDoesNotWait(t *testing.T) {
	t.Parallel()
	p := start(t, "--verbose", "--drain", "10m")
	for range 1500 { // their lines fill the pipe, which is not read
		dial(t, p.addr).echo("x")
	}
	ended := make(chan error, 1)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	go func() { ended <- p.cmd.Wait() }() // ends with the process, which is killed at the end of the test
	for {
		select {
		case <-ended:
			ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
			require.True(t, ws.Signaled(), "%v", p.cmd.ProcessState)
			require.Equal(t, syscall.SIGTERM, ws.Signal())
			return
		case <-time.After(20 * time.Millisecond):
			_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails if the process has ended
		}
	}
}

func TestFlags_ErrorNamesTheFlagAndHelpIsPrinted(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, tt := range []struct {
		args   string
		status int
		says   string
	}{
		{"--help", 0, "-timeout duration"},
		{"--nope", exitUsage, "gnet: flag provided but not defined: -nope; see --help"},
		{"stray", exitUsage, `gnet: unexpected argument "stray"`},
		{"--timeout 0", exitUsage, "--timeout must be more than 0"},
		{"--timeout 60", exitUsage, `invalid value "60" for flag -timeout`},
		{"--drain -1s", exitUsage, "--drain must be more than 0"},
		{"--max-sessions 0", exitUsage, "--max-sessions must be more than 0"},
		{"--max-frame 3", exitUsage, "--max-frame must be from 4 to 65539 bytes"},
		{"--max-frame 65540", exitUsage, "--max-frame must be from 4 to 65539 bytes"},
		{"--addr nowhere", exitUsage, "--addr must be host:port: address nowhere: missing port"},
		{"--addr " + taken.Addr().String(), exitRuntime, "gnet: --addr " + taken.Addr().String() + ": bind: address already in use"},
		{"--max-sessions 1000000000", exitRuntime, "--max-sessions 1000000000 needs 1000001024 open files"},
	} {
		var said bytes.Buffer
		require.Equal(t, tt.status, run(strings.Fields(tt.args), &said), "%s: %s", tt.args, said.String())
		require.Contains(t, said.String(), tt.says)
	}
}

// starved runs a server whose limit of open files is hardly above what needFiles
// requires.
func starved() int {
	sv, err := newServer(config{maxFrame: largestFrame}, slog.New(slog.DiscardHandler), nil)
	if err == nil {
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 40, Max: 40})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	}
	go func() { fmt.Fprintln(os.Stderr, "msg=listening addr="+(<-sv.booted).String()) }() // ends at once
	if err := sv.run("127.0.0.1:0"); err != nil {
		st := sv.sessions.Stats()
		fmt.Fprintf(os.Stderr, "%v\nregistered=%d closed=%d\n", err, st.Registered, st.Closed)
		return exitRuntime
	}
	return 0
}

func TestEngine_ThatRunsOutOfOpenFilesIsAnError(t *testing.T) {
	t.Parallel()
	cmd := command(t, "starved", self(t))
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	log := bufio.NewReader(stderr)
	first, err := log.ReadString('\n')
	require.NoError(t, err)
	_, addr, _ := strings.Cut(strings.TrimSpace(first), "addr=")
	for range 60 {
		if c, err := net.Dial("tcp", addr); err == nil { // it may be gone already
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	rest, err := io.ReadAll(log)
	require.NoError(t, err)
	require.Error(t, cmd.Wait())
	require.Equal(t, exitRuntime, cmd.ProcessState.ExitCode(), "%s", rest)
	require.Contains(t, string(rest), "accept runs out of open files")
	books := regexp.MustCompile(`registered=(\d+) closed=(\d+)`).FindStringSubmatch(string(rest))
	require.NotNil(t, books, "%s", rest)
	require.Equal(t, books[1], books[2])
}

func TestLoadGenerator_FindsNoFault(t *testing.T) {
	t.Parallel()
	load := filepath.Join(t.TempDir(), "sessionwheel")
	build := command(t, "", "go", "build", "-o", load, ".")
	build.Dir = filepath.Join("..", "..", "cmd", "sessionwheel")
	build.Env = append(build.Env, "GOWORK=") // uses the workspace, whatever the test's environment says
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	p := start(t, "--timeout", "10s", "--verbose")
	out, err = command(t, "", load, "load", "--addr", p.addr, "--split", "frames", "--size", "300",
		"--active", "10", "--rate", "160", "--idle", "200", "--idle-timeout", "10s", "--duration", "10500ms").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "200 closed by the server, 0 still open")
	for closed := 0; closed < 211; { // before the signal, which would be the reason for the others
		line, err := p.log.ReadString('\n')
		require.NoError(t, err)
		if strings.Contains(line, "msg=closed") {
			closed++
		}
	}
	log := p.ends(t, syscall.SIGTERM)
	require.Contains(t, log, "registered=211 closed=211 refused=0 reasons=\"map[EOF:11 Timeout:200]\"")
}
