package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

// Whatever writes to a terminal that takes no output blocks, so the first signal
// does not end the program.
func TestSignal_ASecondOneGivesBackATerminalThatTakesNoOutput(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0")
	top := onTerminal(t, 80, 24, nil, "top", servetest.Page(p), "--interval", "100ms")
	top.await(`live`)
	fd := int(top.tty.Fd())
	require.NoError(t, unix.IoctlSetInt(fd, unix.TCXONC, unix.TCOOFF))
	t.Cleanup(func() { _ = unix.IoctlSetInt(fd, unix.TCXONC, unix.TCOON) })
	time.Sleep(500 * time.Millisecond) // it draws what is new, and blocks; if it does not yet, the first signal may end it
	ended := make(chan struct{})
	go func() { // ends with the program
		defer close(ended)
		for top.cmd.Process.Signal(syscall.SIGTERM) == nil {
			time.Sleep(200 * time.Millisecond)
		}
	}()
	status := make(chan int, 1)
	go func() { // ends with the program, which Cleanup kills
		_ = top.cmd.Wait()
		status <- top.cmd.ProcessState.ExitCode()
	}()
	select {
	case got := <-status:
		require.Equal(t, 143, got)
	case <-time.After(consoletest.Patience):
		require.FailNow(t, "the program goes on")
	}
	<-ended
	top.sameModes()
}
