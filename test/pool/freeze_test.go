//go:build unix

package pool_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

const (
	freezeIdle = 2 * time.Second
	freezeFor  = 3 * time.Second

	freezeSenders = 100
	freezeSilent  = 20
	freezeLate    = 10
)

// freezeReport is what the server observed. Times are since its start.
type freezeReport struct {
	Froze, Thawed time.Duration // the longest time in which nothing ran
	Second        time.Duration // how long the second longest was
	Sessions      []freezeSession
}

type freezeSession struct {
	Kind      string // the line that its peer began with
	Reset     time.Duration
	Active    time.Duration
	Reason    pool.Reason // "" is open
	Ended     time.Duration
	connected *pool.Session[int, net.Conn]
}

// A server process is stopped for longer than its idle timeout. Three kinds of
// peers are connected: those that send all the time, silent ones, and late ones.
// The server touches the late ones halfway through their first idle timeout, and
// they begin to send, in time, once the server has stopped.
//
// A round that fails counts only if the server stood still but once, and its peers
// ran on.
func TestFreeze_IsForgiven(t *testing.T) {
	if os.Getenv(harness.HelperEnv) != "" {
		freezeServe(t)
		return
	}
	t.Parallel() // it waits for a process of its own
	for begun := time.Now(); ; {
		report, unsent := freezeRound(t)
		err := freezeJudge(t, report)
		if err == nil {
			return
		}
		told := fmt.Sprintf("%v; the server stood still for another %v, its peers sent nothing for %v at most", err, report.Second, unsent)
		if report.Second < quietHiccup && unsent < freezeIdle/4 || time.Since(begun) > 2*harness.Patience {
			t.Fatal(told)
		}
		t.Log("again: " + told)
	}
}

// freezeRound has a server run and stops it. It returns the server's report, and for
// how long a peer that sends sent nothing at most.
func freezeRound(t *testing.T) (report freezeReport, unsent time.Duration) {
	t.Helper()
	cmd := harness.Helper(t, "freeze")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer cmd.Wait() //nolint:errcheck // it was asked to end, or is killed with the test's context
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan())
	addr := lines.Text()

	var mu sync.Mutex
	var peers sync.WaitGroup
	defer peers.Wait()
	dial := func(kind string) net.Conn {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		_, err = io.WriteString(conn, kind+"\n")
		require.NoError(t, err)
		freezeAck(t, conn)
		return conn
	}
	// send sends every 200ms until the server hangs up.
	send := func(conn net.Conn) {
		peers.Go(func() {
			for last := time.Now(); ; {
				if _, err := io.WriteString(conn, "on\n"); err != nil {
					return
				}
				now := time.Now()
				mu.Lock()
				unsent = max(unsent, now.Sub(last))
				mu.Unlock()
				last = now
				time.Sleep(200 * time.Millisecond)
			}
		})
	}
	for range freezeSenders {
		send(dial("sender"))
	}
	var late, silent []net.Conn
	for range freezeLate {
		late = append(late, dial("late"))
	}
	for _, conn := range late {
		freezeAck(t, conn) // they were touched, halfway through their idle timeout
	}
	time.Sleep(freezeIdle * 6 / 10) // the first would be over now
	for range freezeSilent {
		silent = append(silent, dial("silent"))
	}
	time.Sleep(freezeIdle / 20)

	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
	for _, conn := range late {
		send(conn)
	}
	time.Sleep(freezeFor)
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	for _, conn := range silent {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
		_, err := conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	}
	time.Sleep(500 * time.Millisecond)
	require.NoError(t, stdin.Close())
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "{") {
			require.NoError(t, json.Unmarshal(lines.Bytes(), &report))
		}
	}
	peers.Wait()
	return report, unsent
}

func freezeJudge(t *testing.T, report freezeReport) error {
	t.Helper()
	if frozen := report.Thawed - report.Froze; frozen <= freezeFor*3/4 {
		return fmt.Errorf("the server was frozen for %v", frozen)
	}
	if n := len(report.Sessions); n != freezeSenders+freezeSilent+freezeLate {
		return fmt.Errorf("%d sessions were registered", n)
	}
	closed := make(map[string]int)
	last := time.Duration(0)
	for _, s := range report.Sessions {
		switch {
		case s.Kind == "silent":
			if s.Reason != pool.Timeout {
				return fmt.Errorf("a silent session has ended with reason %q", s.Reason)
			}
			last = max(last, s.Ended-report.Thawed)
		case s.Kind == "late" && report.Froze > s.Reset+freezeIdle:
			t.Log("a late peer was later than the freeze")
			continue
		}
		if s.Reason != "" {
			closed[s.Kind]++
			if after := s.Ended - max(s.Active, s.Reset); after < freezeIdle {
				return fmt.Errorf("a session ended after %v", after)
			}
		}
	}
	if !maps.Equal(closed, map[string]int{"silent": freezeSilent}) {
		return fmt.Errorf("sessions that have ended: %v", closed)
	}
	if last >= 2*time.Second {
		return fmt.Errorf("a silent session ended %v after the freeze", last)
	}
	t.Logf("frozen for %v; the last silent session ended %v after it", report.Thawed-report.Froze, last)
	return nil
}

// freezeAck waits for a byte of the server's.
func freezeAck(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	_, err := io.ReadFull(conn, make([]byte, 1))
	require.NoError(t, err)
}

// freezeServe is the server. It ends, with a report, when its input does.
func freezeServe(t *testing.T) {
	start := time.Now()
	var mu sync.Mutex
	var sessions []*freezeSession
	p, err := pool.New(pool.Config[int, net.Conn]{
		IdleTimeout: freezeIdle,
		OnSessionClosed: func(s *pool.Session[int, net.Conn], r pool.Reason) {
			mu.Lock()
			defer mu.Unlock()
			if r != pool.Shutdown {
				sessions[s.ID()].Reason, sessions[s.ID()].Ended = r, time.Since(start)
			}
		},
	})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	os.Stdout.WriteString(ln.Addr().String() + "\n")

	handle := func(conn net.Conn) {
		r := bufio.NewScanner(conn)
		if !r.Scan() {
			return
		}
		mu.Lock()
		f := &freezeSession{Kind: r.Text()}
		s, err := p.Register(len(sessions), conn)
		if err != nil {
			mu.Unlock()
			return
		}
		f.connected = s
		sessions = append(sessions, f)
		mu.Unlock()
		if f.Kind == "late" {
			time.AfterFunc(freezeIdle/2, func() {
				mu.Lock()
				f.Reset = time.Since(start)
				mu.Unlock()
				s.Touch()
				conn.Write([]byte("s")) //nolint:errcheck // the peer will miss it
			})
		}
		conn.Write([]byte("k")) //nolint:errcheck // the peer will miss it
		for r.Scan() {
			time.Sleep(20 * time.Millisecond) // as if the line took a while to handle
			if !s.Touch() {
				break
			}
		}
		s.Close("EOF")
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go handle(conn)
		}
	}()

	var report freezeReport
	go func() { // records the longest times in which nothing ran
		last := time.Duration(0)
		for {
			time.Sleep(5 * time.Millisecond)
			now := time.Since(start)
			mu.Lock()
			gap, longest := now-last, report.Thawed-report.Froze
			if gap > longest {
				report.Froze, report.Thawed, gap = last, now, longest
			}
			report.Second = max(report.Second, gap)
			mu.Unlock()
			last = now
		}
	}()

	io.Copy(io.Discard, os.Stdin) //nolint:errcheck // it ends
	mu.Lock()
	for _, s := range sessions {
		s.Active = s.connected.LastActive().Sub(start)
		report.Sessions = append(report.Sessions, *s)
	}
	text, err := json.Marshal(report)
	mu.Unlock()
	require.NoError(t, err)
	os.Stdout.Write(append(text, '\n'))
	ln.Close()
	require.NoError(t, p.Shutdown(context.Background()))
}
