//go:build unix

package pool_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

const (
	quietIdle  = 2 * time.Second
	quietPeers = 40
	quietEvery = 50 * time.Millisecond

	// quietHiccup is how long a process may stand still besides its freeze for a
	// round to tell anything: well within the grace after a freeze.
	quietHiccup = 100 * time.Millisecond
)

// quietRound is what a server saw: how many of its sessions timed out, and the two
// longest times in which nothing ran.
type quietRound struct {
	TimedOut        int
	Longest, Second time.Duration
}

// A server process is stopped for about its idle timeout while its peers send, and
// none of their sessions times out. Each has a wheel of its own with nothing else
// on it. When its slot comes up differs from wheel to wheel, so that for some the
// process goes on just before that, and for some just after.
//
// A round counts only if the process stood still for as long as meant, and then
// both it and its peers ran on.
func TestFreeze_OfAQuietWheelIsForgiven(t *testing.T) {
	if os.Getenv(harness.HelperEnv) != "" {
		quietServe(t)
		return
	}
	t.Parallel() // it waits for processes of its own
	var sides sync.WaitGroup
	var rounds atomic.Int64 // that have told something
	const ms = time.Millisecond
	freezes := []time.Duration{1850 * ms, 1900 * ms, 1925 * ms, 1950 * ms, 2000 * ms, 2050 * ms}
	problems := make(chan string, len(freezes))
	for _, d := range freezes {
		sides.Go(func() {
			for try := 1; ; try++ {
				r, sent, err := quietFreeze(t, d)
				switch told := fmt.Sprintf("frozen for %v: %+v, peers silent for %v at most, %v", d, r, sent, err); {
				case err == nil && r.Longest >= d && r.TimedOut == 0:
					t.Log(told)
					rounds.Add(1)
					return
				case err == nil && r.Longest >= d && r.Second < quietHiccup && sent < quietIdle/4:
					problems <- told
					return
				case try == 5:
					t.Log("no round went as meant, and so tells nothing: " + told)
					return
				}
			}
		})
	}
	sides.Wait()
	close(problems)
	for p := range problems {
		t.Error(p)
	}
	if rounds.Load() == 0 && !t.Failed() {
		t.Skip("no round counts: in each, other work on this machine held up the server or its peers as well")
	}
}

// quietFreeze has a server run and stops it for d. It reports what the server saw,
// and for how long its peers sent nothing at most.
func quietFreeze(t *testing.T, d time.Duration) (r quietRound, silent time.Duration, err error) {
	cmd := harness.Helper(t, "quiet")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return r, 0, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return r, 0, err
	}
	if err := cmd.Start(); err != nil {
		return r, 0, err
	}
	defer cmd.Wait() //nolint:errcheck // it was asked to end, or is killed with the test's context
	defer stdin.Close()
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		return r, 0, io.ErrUnexpectedEOF
	}
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range quietPeers {
		c, err := net.Dial("tcp", lines.Text())
		if err != nil {
			return r, 0, err
		}
		conns = append(conns, c)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // the peers
		defer close(stopped)
		for last := time.Now(); ; {
			for _, c := range conns {
				_, _ = io.WriteString(c, "x") // the server tells whom it has closed
			}
			now := time.Now()
			silent = max(silent, now.Sub(last))
			last = now
			select {
			case <-stop:
				return
			case <-time.After(quietEvery):
			}
		}
	}()
	// Just before they would send again: what was last read is as old as can be when
	// the server goes on.
	time.Sleep(quietEvery * 9 / 10)
	err = cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(d + 10*time.Millisecond) // it stops a moment later
	if err == nil {
		err = cmd.Process.Signal(syscall.SIGCONT)
	}
	time.Sleep(time.Second)
	stdin.Close()
	if err == nil && !lines.Scan() {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = json.Unmarshal(lines.Bytes(), &r)
	}
	close(stop)
	<-stopped
	return r, silent, err
}

// quietServe is the server. It ends, with what it saw, when its input does.
func quietServe(t *testing.T) {
	var timedOut atomic.Int64
	pools := make(chan *pool.Pool[int, net.Conn], quietPeers)
	for range quietPeers {
		p, err := pool.New(pool.Config[int, net.Conn]{
			IdleTimeout: quietIdle,
			OnSessionClosed: func(_ *pool.Session[int, net.Conn], r pool.Reason) {
				if r == pool.Timeout {
					timedOut.Add(1)
				}
			},
		})
		require.NoError(t, err)
		defer p.Shutdown(t.Context()) //nolint:errcheck // the process ends
		pools <- p
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				s, err := (<-pools).Register(1, conn)
				if err != nil {
					conn.Close()
					return
				}
				for b := make([]byte, 512); ; {
					if _, err := conn.Read(b); err != nil || !s.Touch() {
						s.Close("EOF")
						return
					}
				}
			}()
		}
	}()
	os.Stdout.WriteString(ln.Addr().String() + "\n")

	var r quietRound
	over, noted := make(chan struct{}), make(chan struct{})
	go func() { // notes the longest times in which nothing ran
		defer close(noted)
		for last := time.Now(); ; {
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond):
			}
			gap := time.Since(last)
			last = last.Add(gap)
			if gap > r.Longest {
				r.Longest, gap = gap, r.Longest
			}
			r.Second = max(r.Second, gap)
		}
	}()
	io.Copy(io.Discard, os.Stdin) //nolint:errcheck // it ends
	close(over)
	<-noted
	r.TimedOut = int(timedOut.Load())
	text, err := json.Marshal(r)
	require.NoError(t, err)
	os.Stdout.Write(append(text, '\n'))
	ln.Close()
}
