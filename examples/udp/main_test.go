package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for something that must happen.
const patience = time.Minute

const programEnv = "SESSIONWHEEL_TEST_PROGRAM"

// TestMain runs the program instead of the tests in the processes that the tests
// start.
func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// command returns a command that runs the program. It is killed when the test ends.
func command(t *testing.T, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), programEnv+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	addr string
	log  chan string // receives its standard error after the line with the address, when it ends
}

var listening = regexp.MustCompile(`msg=listening addr=(\S+)`)

// start starts a server on a free port.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := command(t, append([]string{"--addr", "127.0.0.1:0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(stderr)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	addr := listening.FindStringSubmatch(first)
	require.NotNil(t, addr, first)
	p := &process{cmd, addr[1], make(chan string, 1)}
	go func() { // ends with the process, which the context ends at the latest
		rest, _ := io.ReadAll(lines)
		p.log <- string(rest)
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return p
}

// terminate sends SIGTERM, waits for the end and returns what the process logged.
func (p *process) terminate(t *testing.T) string {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	log := <-p.log
	require.NoError(t, p.cmd.Wait(), log)
	return log
}

// dial returns a connection from a new port, which makes it a new device.
func (p *process) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", p.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	return c
}

func read(t *testing.T, c net.Conn) string {
	t.Helper()
	b := make([]byte, 2*maxDatagram)
	n, err := c.Read(b)
	require.NoError(t, err)
	return string(b[:n])
}

// join returns a device that has brought its cookie.
func (p *process) join(t *testing.T) net.Conn {
	t.Helper()
	c := p.dial(t)
	nameOf(t, c, "")
	return c
}

// nameOf brings a cookie, and a name if that is not empty, and returns the name that
// the server knows the device by.
func nameOf(t *testing.T, c net.Conn, name string) string {
	t.Helper()
	cookie, ok := strings.CutPrefix(ask(t, c, "+"), "> cookie ")
	require.True(t, ok)
	got, ok := strings.CutPrefix(ask(t, c, "+"+cookie+" "+name), "> name ")
	require.True(t, ok)
	require.Len(t, got, 26)
	return got
}

func ask(t *testing.T, c net.Conn, s string) string {
	t.Helper()
	_, err := c.Write([]byte(s))
	require.NoError(t, err)
	return read(t, c)
}

func TestProtocol(t *testing.T) {
	p := start(t)
	c, other := p.join(t), p.join(t)
	for _, tt := range []struct{ send, want string }{
		{"", ">"},
		{" \n", ">"},
		{"temp=21.5\n", "> ok"},
		{"temp?", "> temp=21.5"},
		{"temp=22=hot", "> ok"},
		{"temp?\n", "> temp=22=hot"},
		{"door?", "> door?"},
		{"?", "> 2"},
		{"=1", "> ! neither name=value nor name?"},
		{"temp", "> ! neither name=value nor name?"},
	} {
		require.Equal(t, tt.want, ask(t, c, tt.send), "%q", tt.send)
	}
	require.Equal(t, "> temp?", ask(t, other, "temp?"), "a device sees its own reports only")
	require.Equal(t, "> bye left", ask(t, c, "."))
	require.Contains(t, ask(t, c, "temp?"), "> cookie ", "it is unknown")
	p.terminate(t)
}

func TestDevice_StoresALimitedNumberOfReports(t *testing.T) {
	p := start(t)
	c := p.join(t)
	for i := range maxNames {
		require.Equal(t, "> ok", ask(t, c, fmt.Sprintf("%d=%s", i, strings.Repeat("x", maxDatagram-2))))
	}
	require.Equal(t, "> ! too many names", ask(t, c, "one=more"))
	require.Equal(t, "> ok", ask(t, c, "0=again"))
	_, err := c.Write([]byte("1=" + strings.Repeat("y", maxDatagram)))
	require.NoError(t, err)
	require.Equal(t, "> 1="+strings.Repeat("x", maxDatagram-2), ask(t, c, "1?"), "what is too large is dropped")
	require.Contains(t, p.terminate(t), "dropped=1")
}

func TestIdleTimeout_TellsASilentDevice(t *testing.T) {
	t.Parallel() // it waits for the timeout
	p := start(t, "--idle=5s")
	c := p.join(t)
	require.Equal(t, "> ok", ask(t, c, "a=1"))
	require.Equal(t, "> bye Timeout", read(t, c))
	require.Contains(t, ask(t, c, "a?"), "> cookie ")
}

func TestSIGTERM_TellsEveryDevice(t *testing.T) {
	p := start(t)
	devices := make([]net.Conn, 300)
	for i := range devices {
		devices[i] = p.join(t)
		require.Equal(t, "> ok", ask(t, devices[i], "a=1"))
	}
	log := p.terminate(t)
	for _, c := range devices {
		require.Equal(t, "> bye Shutdown", read(t, c))
	}
	require.Contains(t, log, "msg=draining devices=300")
	require.Contains(t, log, "msg=stopped sessions=300 received=900 handled=600 refused=0 dropped=0 without_cookie=300")
}

func TestMaxSessions_RefusesDevicesBeyondIt(t *testing.T) {
	p := start(t, "--max-sessions=2")
	in := p.join(t)
	p.join(t)
	refused := p.dial(t)
	cookie, _ := strings.CutPrefix(ask(t, refused, "+"), "> cookie ")
	_, err := refused.Write([]byte("+" + cookie))
	require.NoError(t, err)
	require.Equal(t, "> a?", ask(t, in, "a?"), "who is in stays in")
	// The server reads in the order of arrival, so it has read the datagram by now.
	require.NoError(t, refused.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = refused.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Contains(t, p.terminate(t), "sessions=2 received=7 handled=3 refused=1")
}

// The client is bash, which is independent of this project; dd reads one datagram.
const bashClient = `
exec 3<>/dev/udp/${1%:*}/${1#*:}
ask() { printf '%s' "$1" >&3; timeout 60 dd bs=65536 count=1 <&3 2>/dev/null; echo; }
cookie=$(ask +)
ask "+${cookie##* }"
ask temp=21.5
ask 'temp?'
ask ' '
ask '?'
ask .
`

func TestReadme_BashClientWorks(t *testing.T) {
	p := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", bashClient, "client", p.addr)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s", &stderr)
	require.Regexp(t, "^> name [A-Z2-7]{26}\n> ok\n> temp=21.5\n>\n> 1\n> bye left\n$", string(out))
	require.Contains(t, p.terminate(t), "received=7 handled=6")
}

func TestFlags_ErrorIsOneLineThatNamesTheFlag(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, tt := range []struct {
		args   []string
		status int
		words  string
	}{
		{[]string{"--idle=0"}, exitUsage, "--idle"},
		{[]string{"--drain=-1s"}, exitUsage, "--drain"},
		{[]string{"--max-sessions=0"}, exitUsage, "--max-sessions"},
		{[]string{"--max-sessions-per-ip=-1"}, exitUsage, "--max-sessions-per-ip"},
		{[]string{"--what"}, exitUsage, "-what"},
		{[]string{"now"}, exitUsage, `"now"`},
		{[]string{"--addr=nowhere"}, exitRuntime, "--addr"},
		{[]string{"--addr", taken.LocalAddr().String()}, exitRuntime, "in use"},
	} {
		var stderr bytes.Buffer
		require.Equal(t, tt.status, run(tt.args, &stderr), "%v", tt.args)
		require.Equal(t, 1, strings.Count(stderr.String(), "\n"), "%s", &stderr)
		require.Contains(t, stderr.String(), tt.words)
	}
}

func TestHelp_NamesEachFlagAndIsNoError(t *testing.T) {
	var stderr bytes.Buffer
	require.Zero(t, run([]string{"--help"}, &stderr))
	for _, name := range []string{"addr", "idle", "drain", "max-sessions", "max-sessions-per-ip"} {
		require.Contains(t, stderr.String(), "-"+name)
	}
}

func TestReadme_HasTheTestedCommands(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.Contains(t, string(text), "go run ./examples/udp --addr 127.0.0.1:9000\n")
	for line := range strings.Lines(strings.TrimSpace(bashClient)) {
		line = strings.ReplaceAll(line, "${1%:*}/${1#*:}", "127.0.0.1/9000")
		require.Contains(t, string(text), line)
	}
}
