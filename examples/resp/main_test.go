package main

import (
	"bufio"
	"bytes"
	"errors"
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
)

// patience is how long a test waits for something that must happen.
const patience = time.Minute

// TestMain runs the program instead of the tests in the processes that the tests
// start.
func TestMain(m *testing.M) {
	if os.Getenv("RESP_TEST_PROGRAM") != "" {
		main()
		return
	}
	if err := flag.Set("test.parallel", "8"); err != nil { // parallel tests wait
		panic(err)
	}
	os.Exit(m.Run())
}

// program returns a command that runs this program.
func program(t testing.TB, args ...string) *exec.Cmd {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "RESP_TEST_PROGRAM=1", "GOCOVERDIR="+t.TempDir(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	addr string
	log  chan string // receives the rest of its standard error when it ends
}

func launch(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{cmd: program(t, append([]string{"--addr", "127.0.0.1:0"}, args...)...), log: make(chan string, 1)}
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	r := bufio.NewReader(stderr)
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	_, p.addr, _ = strings.Cut(strings.TrimSpace(line), "listening on ")
	go func() { // ends with the process
		rest, _ := io.ReadAll(r)
		p.log <- string(rest)
	}()
	return p
}

// ends waits until the process has ended and returns its status, or -1 if a signal
// ended it.
func (p *process) ends(t testing.TB) (status int, log string) {
	t.Helper()
	select {
	case log = <-p.log:
	case <-time.After(patience):
		require.FailNow(t, "the program goes on")
	}
	_ = p.cmd.Wait() // the status is checked by the caller
	return p.cmd.ProcessState.ExitCode(), log
}

// ours starts this program and returns its address. The program must drain when the
// test ends.
func ours(t testing.TB) string {
	p := launch(t)
	t.Cleanup(func() {
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		status, log := p.ends(t)
		require.Zero(t, status, log)
		require.Equal(t, "resp: draining\n", log)
	})
	return p.addr
}

// tool returns the path of a program of Redis. If it is missing, the test is skipped, or
// fails if CI is set.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	require.Empty(t, os.Getenv("CI"), "%s is not installed", name)
	fmt.Fprintf(os.Stderr, "*** LEFT OUT: %s needs %s, which is not installed ***\n", t.Name(), name)
	t.Skip(name + " is not installed")
	return ""
}

// real starts a Redis with the limits of this program and returns its address.
func real(t testing.TB) string {
	path := tool(t, "redis-server")
	for range 10 { // another process may take the port
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addr := l.Addr().String()
		_, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		require.NoError(t, l.Close())
		var out bytes.Buffer
		cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
			"--databases", "1", "--proto-max-bulk-len", "1mb", "--client-query-buffer-limit", "2mb", "--dir", t.TempDir())
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
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			select {
			case <-ended:
				deadline = time.Time{}
				continue
			default:
			}
			if c, err := net.Dial("tcp", addr); err == nil {
				_ = c.Close()
				return addr
			}
		}
	}
	require.FailNow(t, "redis-server does not listen")
	return ""
}

// both runs f against Redis and against this program.
func both(t *testing.T, f func(t *testing.T, addr string)) {
	for name, start := range map[string]func(testing.TB) string{"redis": real, "ours": ours} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, start(t))
		})
	}
}

// cli runs redis-cli with the given input and returns its output.
func cli(t testing.TB, addr, input string, args ...string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	cmd := exec.Command(tool(t, "redis-cli"), append([]string{"-h", host, "-p", port, "--no-raw"}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// wire is a plain connection to a server.
type wire struct {
	net.Conn
	t testing.TB
}

func dial(t testing.TB, addr string) wire {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return wire{c, t}
}

func (w wire) send(s string) {
	w.t.Helper()
	_, err := io.WriteString(w, s)
	require.NoError(w.t, err)
}

func (w wire) want(reply string) {
	w.t.Helper()
	got := make([]byte, len(reply))
	n, err := io.ReadFull(w, got)
	require.NoError(w.t, err, "%q came", got[:n])
	require.Equal(w.t, reply, string(got))
}

// ask sends a line and returns the line of the reply.
func (w wire) ask(line string) string {
	w.t.Helper()
	w.send(line + "\r\n")
	answer, err := bufio.NewReader(w).ReadString('\n')
	require.NoError(w.t, err)
	return strings.TrimSpace(answer)
}

// closed waits until the server closes the connection, and returns what it sent
// before.
func (w wire) closed() string {
	w.t.Helper()
	rest, err := io.ReadAll(w)
	var timeout net.Error
	if errors.As(err, &timeout) { // what the server left unread resets the connection
		require.False(w.t, timeout.Timeout(), "the connection is still open, after %.200q", rest)
	}
	return string(rest)
}
