//go:build unix

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

func TestTop_ShowsARunningServerAndFollowsIt(t *testing.T) {
	t.Parallel()
	p, addr := servetest.Start(t, "--http", "0", "--idle", "1h")
	first := servetest.Connect(t, addr, "lines", nil)
	_, _, err := first.Send([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, first.Receive())
	top := onTerminal(t, 100, 30, nil, "top", servetest.Page(p), "--interval", "100ms")
	top.await(`sessionwheel  live  up \S+  http://127\.0\.0\.1:\d+/`)
	top.await(`open +1 `)
	top.await(`frames in +1 +0/s`)
	top.await(`level \d  \S+ .*█.* 1\s`)
	top.await(`1 +` + regexp.QuoteMeta(first.LocalAddr().String()))

	second := servetest.Connect(t, addr, "lines", nil)
	top.await(`open +2 `)
	top.press("/" + second.LocalAddr().String() + "\r")
	top.await(`sessions  1 of 2 match`)
	require.NotContains(t, top.screen(), " "+first.LocalAddr().String()+" ")
	top.press("\x1b") // the filter ends
	top.await(`sessions  2 of 2`)
	top.press("s")
	top.await(`REMAINING▼`)
	top.press("r")
	top.await(`REMAINING▲`)
	require.NoError(t, first.Close())
	top.await(`EOF +1 █`)
	top.press("c")
	top.await(`closed last  1\n.*\n1 +` + regexp.QuoteMeta(first.LocalAddr().String()) + ` +EOF +\d`)
	top.press("?")
	top.await(`│ c +show the sessions that closed last`)
	top.press("\x1b")
	top.await(`closed last  1\n`)
	top.press("c")
	top.await(`sessions  1 of 1`)

	for _, size := range [][2]int{{60, 20}, {40, 8}, {120, 50}} {
		top.size(size[0], size[1])
		top.await(`q quit.*$`) // on the last line
		require.Eventually(t, func() bool {
			lines := strings.Split(strings.TrimRight(top.screen(), "\n"), "\n")
			return len(lines) == size[1] && strings.HasPrefix(lines[len(lines)-1], "q quit") && strings.HasPrefix(lines[0], "sessionwheel")
		}, consoletest.Patience, 10*time.Millisecond, "%v", size)
	}
	top.press("q")
	require.Zero(t, top.end())
}

func TestTop_GivesTheTerminalBackHoweverItEnds(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0")
	for name, tt := range map[string]struct {
		end    func(*terminal)
		status int
		last   string
	}{
		"q":       {func(p *terminal) { p.press("q") }, 0, ""},
		"ctrl+c":  {func(p *terminal) { p.press("\x03") }, 0, ""},
		"SIGTERM": {func(p *terminal) { require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM)) }, 143, "sessionwheel: stopped by signal: terminated"},
		"SIGINT":  {func(p *terminal) { require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGINT)) }, 130, "sessionwheel: interrupted"},
	} {
		top := onTerminal(t, 80, 24, nil, "top", servetest.Page(p))
		top.await(`live`)
		require.True(t, top.altScreen(), name)
		tt.end(top)
		require.Equal(t, tt.status, top.end(), name)
		top.await(tt.last)
	}
}

func TestSignal_TwoAtOnceGiveTheTerminalBackToo(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0")
	for range 3 { // the second may come before the first has been followed, or after
		top := onTerminal(t, 80, 24, nil, "top", servetest.Page(p))
		top.await(`live`)
		require.NoError(t, top.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, top.cmd.Process.Signal(syscall.SIGINT))
		require.Contains(t, []int{130, 143}, top.end())
	}
}

func TestTop_WaitsForAServerThatIsGone(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0")
	page := servetest.Page(p)
	top := onTerminal(t, 100, 30, nil, "top", page, "--interval", "100ms")
	top.await(`live`)
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.Wait())
	top.await(`no answer for \S+ \(connection refused\), trying again`)
	port := strings.Trim(page[strings.LastIndex(page, ":"):], ":/")
	again, addr := servetest.Start(t, "--http", port)
	require.Equal(t, page, servetest.Page(again))
	servetest.Connect(t, addr, "lines", nil)
	top.await(`live`)
	top.await(`open +1 `)
	top.press("q")
	require.Zero(t, top.end())
}

// colors are the codes that set one.
var colors = regexp.MustCompile("\x1b\\[(?:[0-9;:]*[;:])?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;:m]")

func TestTop_RespectsNoColor(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0")
	for value, want := range map[string]bool{"": true, "1": false, "yes": false} {
		top := onTerminal(t, 80, 24, []string{"NO_COLOR=" + value}, "top", servetest.Page(p))
		top.await(`live`)
		top.press("q")
		require.Zero(t, top.end())
		require.Equal(t, want, colors.MatchString(top.written()), "NO_COLOR=%q: %q", value, top.written())
	}
}

func TestTop_KeepsToASCIIWhereTheLocaleDoes(t *testing.T) {
	t.Parallel()
	p, addr := servetest.Start(t, "--http", "0", "--idle", "1h")
	servetest.Connect(t, addr, "lines", nil)
	top := onTerminal(t, 80, 24, []string{"LC_ALL=C"}, "top", servetest.Page(p))
	top.await(`open +1 `)
	top.await(`level \d  \S+ .*#`)
	require.NotRegexp(t, `[^\x00-\x7f]`, top.screen())
	top.press("q")
	require.Zero(t, top.end())
}

func TestTop_PrintsOnceWhereThereIsNoTerminal(t *testing.T) {
	t.Parallel()
	p, addr := servetest.Start(t, "--http", "0")
	c := servetest.Connect(t, addr, "lines", nil)
	p.Await(`session opened`)
	for _, args := range [][]string{{"top", servetest.Page(p)}, {"top", "--once", servetest.Page(p)}} {
		o := consoletest.Run(t, args...)
		require.Zero(t, o.Status, o.Err)
		require.Regexp(t, `(?m)^  open +1$`, o.Out)
		require.Regexp(t, `(?m)^  level-\d +1 timers in 1 slots of \S+$`, o.Out)
		require.Contains(t, o.Out, c.LocalAddr().String())
		require.NotRegexp(t, `[^\n -~]`, o.Out)
	}
	top := onTerminal(t, 80, 24, []string{"TERM=dumb"}, "top", servetest.Page(p))
	require.Zero(t, top.end())
	top.await(c.LocalAddr().String())
	require.NotContains(t, top.written(), "\x1b")
}

func TestTop_SaysWhatIsWrongInOneLine(t *testing.T) {
	t.Parallel()
	free, err := loopback.Addrs(1)
	require.NoError(t, err)
	nobody := free[0]
	o := consoletest.Run(t, "top", nobody)
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, nobody, "connection refused", "sessionwheel serve --http")

	_, echo := servetest.Start(t)
	o = consoletest.Run(t, "top", echo)
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, echo, "is no sessionwheel dashboard", "--http")

	noPage, _ := servetest.Start(t, "--http", "0", "--no-page")
	o = consoletest.Run(t, "top", servetest.Page(noPage))
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, "is no sessionwheel dashboard", "404")

	top := onTerminal(t, 80, 24, nil, "top", nobody)
	require.Equal(t, console.ExitRuntime, top.end())
	top.await(`no answer from http://`)
}

func TestTop_ItsOutputCanBeAFile(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0")
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer f.Close()
	require.Zero(t, consoletest.LaunchTo(t, f, "top", servetest.Page(p)).Wait())
	out, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.Contains(t, string(out), "registered")
}

func TestTop_SendsTheTokenThatAServerWants(t *testing.T) {
	t.Parallel()
	const token = "a-token-of-the-tests"
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
	p, _ := servetest.Start(t, "--http", "0", "--http-token-file", file)
	page := servetest.Page(p)
	for _, args := range [][]string{{page}, {page, "--token-file", file + "x"}} {
		o := consoletest.Run(t, append([]string{"top", "--once"}, args...)...)
		require.NotZero(t, o.Status)
		o.OneErrorLine(t, "--token-file")
	}
	o := consoletest.Run(t, "top", "--once", page, "--token-file", file)
	require.Zero(t, o.Status, o.Err)
	require.Contains(t, o.Out, "registered")
	cmd := consoletest.Command(t, "top", "--once", page)
	cmd.Env = append(cmd.Env, "SESSIONWHEEL_HTTP_TOKEN="+token)
	o = consoletest.End(t, cmd)
	require.Zero(t, o.Status, o.Err)
	cmd = consoletest.Command(t, "top", "--once", page)
	cmd.Env = append(cmd.Env, "SESSIONWHEEL_HTTP_TOKEN="+token+"x")
	o = consoletest.End(t, cmd)
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, "the token is wrong")
}
