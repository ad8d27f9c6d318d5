package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

// patience is how long a test waits for something that must happen.
const patience = time.Minute

// TestMain runs the program instead of the tests in the processes that the tests start.
func TestMain(m *testing.M) {
	if os.Getenv("MQTT_TEST_PROGRAM") != "" {
		if os.Getenv("MQTT_TEST_MOCHI") != "" {
			mochiBroker()
		}
		main()
		return
	}
	if err := flag.Set("test.parallel", "8"); err != nil { // most tests wait for deadlines
		panic(err)
	}
	os.Exit(m.Run())
}

// program returns a command that runs this program.
func program(t testing.TB, args ...string) *exec.Cmd {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "MQTT_TEST_PROGRAM=1", "GOCOVERDIR="+t.TempDir(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// process is a running broker.
type process struct {
	cmd   *exec.Cmd
	addrs []string
	log   chan string // receives the rest of its standard error when it ends
}

// launch starts the program, which listens on as many addresses.
func launch(t testing.TB, listeners int, args ...string) *process {
	t.Helper()
	p := &process{cmd: program(t, append([]string{"--addr", "127.0.0.1:0"}, args...)...), log: make(chan string, 1)}
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	r := bufio.NewReader(stderr)
	for range listeners {
		line, err := r.ReadString('\n')
		require.NoError(t, err, line)
		_, addr, ok := strings.Cut(strings.TrimSpace(line), "listening on ")
		require.True(t, ok, line)
		p.addrs = append(p.addrs, addr)
	}
	go func() { // ends with the process
		rest, _ := io.ReadAll(r)
		p.log <- string(rest)
	}()
	return p
}

// stop ends the program with SIGTERM and checks that it ends well.
func (p *process) stop(t testing.TB) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case log := <-p.log:
		_ = p.cmd.Wait() // the status is checked below
		require.Zero(t, p.cmd.ProcessState.ExitCode(), log)
		require.Equal(t, "mqtt: shutting down\n", log)
	case <-time.After(patience):
		require.FailNow(t, "the program goes on")
	}
}

// ours starts this program and returns its address. It must end well when the test does.
func ours(t testing.TB, args ...string) string {
	p := launch(t, 1, args...)
	t.Cleanup(func() { p.stop(t) })
	return p.addrs[0]
}

// await returns what a channel receives.
func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		require.FailNow(t, "missing: "+what)
	}
	return v
}

// tool returns the path of a program. If it is missing, the test is skipped, or fails if CI is
// set.
func tool(t testing.TB, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	require.Empty(t, os.Getenv("CI"), "%s is not installed", name)
	fmt.Fprintf(os.Stderr, "*** LEFT OUT: %s needs %s, which is not installed ***\n", t.Name(), name)
	t.Skip(name + " is not installed")
	return ""
}

// theirs starts a mosquitto and returns its address.
func theirs(t testing.TB) string {
	addr, _ := startMosquitto(t)
	return addr
}

// startMosquitto starts a mosquitto with the limits of this program and returns its address and
// process ID.
func startMosquitto(t testing.TB) (addr string, pid int) {
	path := tool(t, "mosquitto")
	for range 10 { // elsewhere than on Linux, another process may take the port
		addrs, err := loopback.Addrs(1)
		require.NoError(t, err)
		addr := addrs[0]
		host, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		file := t.TempDir() + "/mosquitto.conf"
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil,
			"listener %s %s\nallow_anonymous true\nmax_packet_size %d\nmax_topic_alias %d\n", port, host, maxPacket, maxAliases), 0o600))
		var out bytes.Buffer
		cmd := exec.Command(path, "-c", file)
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		ended := make(chan struct{})
		go func() { // ends with the process
			defer close(ended)
			_ = cmd.Wait()
		}()
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			<-ended
		})
		if listens(addr, ended) {
			return addr, cmd.Process.Pid
		}
	}
	require.FailNow(t, "mosquitto does not listen")
	return "", 0
}

func listens(addr string, ended <-chan struct{}) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case <-ended:
			return false
		default:
		}
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return true
		}
	}
	return false
}

// both runs f against mosquitto and against this program.
func both(t *testing.T, f func(t *testing.T, addr string)) {
	for name, start := range map[string]func(testing.TB) string{
		"mosquitto": theirs,
		"ours":      func(t testing.TB) string { return ours(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, start(t))
		})
	}
}

// isMosquitto reports whether a test runs against mosquitto, which differs from this broker in some
// points. README.md lists them.
func isMosquitto(t testing.TB) bool { return strings.Contains(t.Name(), "/mosquitto") }

// mosquitto runs mosquitto_pub or mosquitto_sub and returns its output.
func mosquitto(t testing.TB, name, addr string, args ...string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, name), append([]string{"-h", host, "-p", port}, args...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}
