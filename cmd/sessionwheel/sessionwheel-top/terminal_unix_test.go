//go:build unix

package main

import (
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

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/term"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

// terminal is a process of the program in a terminal of its own, which is a
// real pseudo-terminal with an emulator at its other end.
type terminal struct {
	t        *testing.T
	cmd      *exec.Cmd
	pty, tty *os.File
	before   *term.State // of the tty, before the program began
	reading  sync.WaitGroup

	mu       sync.Mutex
	emulator *vt.Emulator    // guarded by mu, but for its Read
	raw      strings.Builder // guarded by mu: all that the program wrote
}

// onTerminal starts the program in a terminal of a size, with variables added to
// its environment.
func onTerminal(t *testing.T, width, height int, env []string, args ...string) *terminal {
	t.Helper()
	p := &terminal{t: t, cmd: consoletest.Command(t, args...), emulator: vt.NewEmulator(width, height)}
	var err error
	p.pty, p.tty, err = pty.Open()
	require.NoError(t, err)
	p.size(width, height)
	p.before, err = term.GetState(int(p.tty.Fd()))
	require.NoError(t, err)
	p.cmd.Env = append(p.cmd.Env, "TERM=xterm-256color", "LC_ALL=C.UTF-8", "NO_COLOR=", "COLORTERM=", "TMUX=")
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = p.tty, p.tty, p.tty
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, p.cmd.Start())
	p.reading.Go(func() { // ends when nobody holds the tty
		buf := make([]byte, 4096)
		for {
			n, err := p.pty.Read(buf)
			p.mu.Lock()
			p.raw.Write(buf[:n])
			_, _ = p.emulator.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	p.reading.Go(func() { // what a terminal answers to questions; ends with the emulator
		buf := make([]byte, 4096)
		for {
			n, err := p.emulator.Read(buf)
			if err != nil {
				return
			}
			_, _ = p.pty.Write(buf[:n])
		}
	})
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		_ = p.tty.Close()
		_ = p.emulator.InputPipe().(io.Closer).Close()
		_ = p.pty.Close()
		p.reading.Wait()
	})
	return p
}

// size changes the terminal's.
func (p *terminal) size(width, height int) {
	p.t.Helper()
	p.mu.Lock()
	p.emulator.Resize(width, height)
	p.mu.Unlock()
	require.NoError(p.t, pty.Setsize(p.pty, &pty.Winsize{Rows: uint16(height), Cols: uint16(width)}))
}

// screen is what a person sees.
func (p *terminal) screen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.emulator.String()
}

// written is all that the program wrote.
func (p *terminal) written() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raw.String()
}

// altScreen tells whether the program has the whole screen to itself.
func (p *terminal) altScreen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.emulator.IsAltScreen()
}

// await waits until the screen matches.
func (p *terminal) await(pattern string) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(consoletest.Patience); !re.MatchString(p.screen()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNow(p.t, "not shown in time", "%q in:\n%s", pattern, p.screen())
		}
	}
}

// press types.
func (p *terminal) press(keys string) {
	p.t.Helper()
	_, err := p.pty.WriteString(keys)
	require.NoError(p.t, err)
}

// end waits for the program and requires that it has left the terminal as it
// was.
func (p *terminal) end() int {
	p.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }() // ends with the program, which Cleanup kills
	var err error
	select {
	case err = <-ended:
	case <-time.After(consoletest.Patience):
		require.FailNow(p.t, "the program goes on", "%s", p.screen())
	}
	p.restored()
	var exit *exec.ExitError
	if err == nil {
		return 0
	}
	require.True(p.t, errors.As(err, &exit), "%v", err)
	return exit.ExitCode()
}

// sameModes requires that the terminal's modes are those of before the program.
func (p *terminal) sameModes() {
	p.t.Helper()
	after, err := term.GetState(int(p.tty.Fd()))
	require.NoError(p.t, err)
	require.Equal(p.t, p.before, after, "the terminal's modes")
}

// restored requires that the terminal is as it was before the program.
func (p *terminal) restored() {
	p.t.Helper()
	p.sameModes()
	require.Eventually(p.t, func() bool { // what it wrote last may still be on its way
		p.mu.Lock()
		defer p.mu.Unlock()
		return !p.emulator.IsAltScreen() && !p.emulator.CursorHidden()
	}, consoletest.Patience, 10*time.Millisecond, "the screen is given back")
}
