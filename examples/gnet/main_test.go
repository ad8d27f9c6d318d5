//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// patience is how long a test waits for something that must happen.
const patience = time.Minute

// roleEnv is the environment variable that gives a process of the test binary its role.
const roleEnv = "SESSIONWHEEL_GNET_TEST"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "":
		if err := flag.Set("test.parallel", "8"); err != nil { // parallel tests wait
			panic(err)
		}
		os.Exit(m.Run())
	case "program":
		main()
	case "starved":
		os.Exit(starved())
	default:
		measured(role)
	}
}

// running is a server in this process.
type running struct {
	*server
	addr string

	mu   sync.Mutex
	told map[pool.Reason]uint64 // guarded by mu: the calls of OnSessionClosed
}

// launch starts a server with a timeout of ten minutes, unless cfg says otherwise. It
// fails the test if the server has not reported every session at the end of the test.
func launch(t testing.TB, cfg config) *running {
	t.Helper()
	if cfg.maxFrame == 0 {
		cfg.maxFrame = largestFrame
	}
	if cfg.timeout == 0 {
		cfg.timeout = 10 * time.Minute
	}
	r := &running{told: make(map[pool.Reason]uint64)}
	sv, err := newServer(cfg, slog.New(slog.DiscardHandler), func(s *session, why pool.Reason) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told[why]++
	})
	require.NoError(t, err)
	r.server = sv
	ran := make(chan error, 1)
	go func() { ran <- sv.run("127.0.0.1:0") }() // ended by stop; waited for by the cleanup
	select {
	case err := <-ran:
		require.FailNow(t, "it does not run", err)
	case addr := <-sv.booted:
		r.addr = addr.String()
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = sv.stop(ended) // stop would wait half a second; run returns at once
		require.NoError(t, <-ran)
		st := sv.sessions.Stats()
		require.Zero(t, st.Sessions)
		require.Equal(t, st.Registered, st.Closed)
		require.Equal(t, st.ByReason, r.reasons())
	})
	return r
}

// reasons returns how often OnSessionClosed was called, by reason.
func (r *running) reasons() map[pool.Reason]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.told)
}

// wants waits until the reasons are exactly these.
func (r *running) wants(t testing.TB, want map[pool.Reason]uint64) {
	t.Helper()
	eventually(t, func() bool { return maps.Equal(want, r.reasons()) }, func() any { return r.reasons() })
}

// eventually waits until ok returns true. If it never does, the failure shows what got
// returns.
func eventually(t testing.TB, ok func() bool, got func() any) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			require.FailNow(t, "it never comes to be", "%v", got())
		}
	}
}

// peer is a client.
type peer struct {
	net.Conn
	t testing.TB
}

func dial(t testing.TB, addr string) peer {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return peer{c, t}
}

func frame(body string) []byte {
	f, err := tcp.AppendFrame(nil, []byte(body))
	if err != nil {
		panic(err) // no test sends a frame that is too large
	}
	return f
}

func (p peer) send(b []byte) {
	p.t.Helper()
	_, err := p.Write(b)
	require.NoError(p.t, err)
}

// wants reads as many bytes as want has and compares them.
func (p peer) wants(want []byte) {
	p.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(p, got)
	require.NoError(p.t, err, "after %d bytes", n)
	require.True(p.t, bytes.Equal(want, got), "another echo")
}

func (p peer) echo(body string) {
	p.t.Helper()
	p.send(frame(body))
	p.wants(frame(body))
}

// closed waits until the server closes the connection, and returns what it sent before.
func (p peer) closed() []byte {
	p.t.Helper()
	rest, err := io.ReadAll(p)
	require.False(p.t, errors.Is(err, os.ErrDeadlineExceeded), "it is still open") // a reset is accepted
	return rest
}
