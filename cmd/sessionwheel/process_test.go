package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

// TestMain runs the program itself, or a broker, in place of the tests, in the
// processes that the tests start.
func TestMain(m *testing.M) {
	if config := os.Getenv("SESSIONWHEEL_TEST_BROKER"); config != "" {
		os.Exit(runBroker(config))
	}
	consoletest.Main(m, main)
}

// serving starts serve on a free port and returns its address.
func serving(t *testing.T, args ...string) (p *consoletest.Process, addr string) {
	t.Helper()
	return listening(t, consoletest.Command(t, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...))
}

// listening starts a process of serve and returns its address.
func listening(t *testing.T, cmd *exec.Cmd) (p *consoletest.Process, addr string) {
	t.Helper()
	p = consoletest.Start(t, nil, cmd)
	return p, p.Await(`listening\W+addr\W+(127\.0\.0\.1:\d+)`)
}
