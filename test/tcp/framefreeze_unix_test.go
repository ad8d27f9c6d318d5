//go:build unix

package tcp_test

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// TestFrameTimeout_ForgivesAFreeze stops a server that has a part of a frame of each peer. The
// rest arrives meanwhile, and is found only after FrameTimeout.
func TestFrameTimeout_ForgivesAFreeze(t *testing.T) {
	t.Parallel() // it waits for a process that is stopped
	const timeout = 4 * time.Second
	if os.Getenv(harness.HelperEnv) != "" {
		serveInProcess(t, &tcp.Server{FrameTimeout: timeout, IdleTimeout: -1, OnMessage: harness.EchoLine},
			func(l net.Listener) net.Listener { return &halfWrapped{Listener: l} })
		return
	}
	p := startServerProcess(t)
	conns := make([]net.Conn, 40)
	start := time.Now()
	for i := range conns {
		conns[i] = p.dial()
		harness.Write(t, conns[i], "x")
	}
	time.Sleep(time.Until(start.Add(timeout / 8))) // the server has read it
	p.signal(syscall.SIGSTOP)
	for _, c := range conns {
		harness.Write(t, c, "y\n")
	}
	time.Sleep(timeout)
	p.signal(syscall.SIGCONT)
	for _, c := range conns {
		harness.Read(t, c, "xy\n")
	}
	p.end(tcp.ReasonFrameTimeout)
}
