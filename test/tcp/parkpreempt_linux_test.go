//go:build preempt

package tcp_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// TestPreempt_AParkedSessionMissesNothing goes through seeded schedules in which input comes where a
// session is between running and being parked. It is handled, once and in order.
func TestPreempt_AParkedSessionMissesNothing(t *testing.T) {
	for seed := range uint64(400) {
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { runParked(t, seed) }) {
			return
		}
	}
}

// parkSchedule lets a peer act where a session is preempted.
type parkSchedule struct {
	random *rand.Rand
	c      *net.TCPConn

	mu sync.Mutex
	// Guarded by mu.
	left   int // how often the peer is to act
	sent   int
	others sync.WaitGroup
}

func (p *parkSchedule) at(point string) {
	if !isParks(point) {
		return
	}
	p.mu.Lock()
	if p.left == 0 || p.random.IntN(2) == 0 {
		p.mu.Unlock()
		return
	}
	p.left--
	act := p.random.IntN(4)
	if act < 2 {
		p.sendLocked()
	}
	p.mu.Unlock()
	switch act {
	case 1, 2:
		time.Sleep(50 * time.Microsecond)
	default:
		runtime.Gosched()
	}
}

// isParks reports whether a point is one around parking.
func isParks(point string) bool {
	what, _, _ := strings.Cut(point, ":")
	return slices.Contains([]string{"batch", "park", "wake"}, what)
}

func (p *parkSchedule) sendLocked() {
	p.sent++
	_, _ = fmt.Fprintf(p.c, "%d\n", p.sent) // the socket has room
}

func (p *parkSchedule) send() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sendLocked()
}

func runParked(t *testing.T, seed uint64) {
	p := &parkSchedule{random: rand.New(rand.NewPCG(seed, 0)), left: 20}
	srv := &tcp.Server{LingerTimeout: harness.Patience, OnMessage: func(s *tcp.Session, line []byte) { _ = s.Post(append(line, '\n')) }}
	e := watch(srv)
	p.c = harness.ListenTCP(t, srv)().(*net.TCPConn)
	harness.Next(t, e.opened)
	preempt.Set(p.at)
	defer preempt.Set(nil)
	p.send()
	lines := bufio.NewScanner(p.c)
	require.NoError(t, p.c.SetReadDeadline(time.Now().Add(harness.Patience)))
	expect := func(upTo func() int) (n int) {
		for n = 1; n <= upTo(); n++ {
			require.True(t, lines.Scan(), "seed %d: %d has no answer: %v", seed, n, lines.Err())
			require.Equal(t, fmt.Sprint(n), lines.Text(), "seed %d", seed)
		}
		return n
	}
	expect(func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.left > 0 && p.sent < 40 { // until the peer has acted often enough
			p.sendLocked()
		}
		return p.sent
	})
	require.NoError(t, p.c.CloseWrite())
	require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed), "seed %d", seed)
	_, err := io.Copy(io.Discard, p.c)
	require.NoError(t, err)
	harness.Until(t, func() bool { return srv.Stats().Parked == 0 })
}

// What makes a session run comes just before it is parked, or just after.
func TestPreempt_WhatComesWhileASessionIsParkedRunsIt(t *testing.T) {
	const limit = 100 * time.Millisecond
	type session struct {
		*tcp.Session
		c       *net.TCPConn
		release func()
	}
	for name, tt := range map[string]struct {
		before func(s *session) // the session reads this, and is to be parked
		act    func(s *session)
		want   pool.Reason // "": it goes on
	}{
		"input": {act: func(s *session) { harness.Write(t, s.c, "hello\n") }},
		"FIN":   {act: func(s *session) { assert.NoError(t, s.c.CloseWrite()) }, want: tcp.ReasonEOF},
		"close": {act: func(s *session) { s.Close("Kicked") }, want: "Kicked"},
		"reset": {act: func(s *session) { _ = s.c.SetLinger(0); _ = s.c.Close() }, want: tcp.ReasonEOF},
		"release": {
			before: func(s *session) { s.release = s.Hold(); assert.NoError(t, s.c.CloseWrite()) },
			act:    func(s *session) { s.release() }, want: tcp.ReasonEOF,
		},
		"limit": {
			before: func(s *session) { harness.Write(t, s.c, "part") },
			act:    func(*session) { time.Sleep(2 * limit) }, want: tcp.ReasonFrameTimeout,
		},
	} {
		for _, point := range []string{"park: nobody runs the session", "park: the session is parked"} {
			t.Run(name+" at "+point, func(t *testing.T) {
				s := new(session)
				connected := make(chan struct{})
				srv := &tcp.Server{FrameTimeout: limit, LingerTimeout: harness.Patience, Farewell: farewell}
				srv.OnNewSessionRegister = func(opened *tcp.Session) {
					<-connected
					s.Session = opened
					if tt.before != nil {
						tt.before(s)
						time.Sleep(20 * time.Millisecond) // so that it is there at the first look
					}
				}
				e := watch(srv)
				dial := harness.ListenTCP(t, srv)
				var once sync.Once
				preempt.Set(func(p string) {
					if p == point {
						once.Do(func() { tt.act(s) })
					}
				})
				defer preempt.Set(nil)
				s.c = dial().(*net.TCPConn)
				close(connected)
				if tt.want == "" {
					require.Equal(t, "hello", harness.Next(t, e.messages))
					return
				}
				require.Equal(t, tt.want, harness.Next(t, e.closed))
			})
		}
	}
}
