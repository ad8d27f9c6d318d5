//go:build preempt

package tcp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// preemptions lets others act where a goroutine of a session is preempted, as a seeded draw
// says.
type preemptions struct {
	s    *tcp.Session
	c    net.Conn
	last pool.Reason // how the session is closed in the end
	body []byte      // makes frames long enough that the socket takes them in parts

	mu sync.Mutex
	// Guarded by mu.
	random *rand.Rand
	left   int             // how often somebody is to act
	sent   map[string]bool // what Send or Post has taken
	next   int

	others sync.WaitGroup
	closed atomic.Bool
}

// at is called at each point. Those of the wheel's timers are left out: they are armed under
// tcp's locks.
func (p *preemptions) at(point string) {
	if isTimers(point) {
		return
	}
	switch what := p.draw(); {
	case what == theEnd:
		p.await(p.end)
	case what == nothing:
	case what < 4:
		p.await(func() { p.write(p.s.Post) }) // which never waits
	case what < 6:
		p.begin(func() { p.write(p.s.Send) })
	case what < 8:
		p.begin(func() { _, _ = io.WriteString(p.c, "reply\n") })
	case what < 9:
		p.begin(func() {})
		time.Sleep(100 * time.Microsecond)
	default:
		p.begin(func() {})
		runtime.Gosched()
	}
}

func isTimers(point string) bool {
	what, _, _ := strings.Cut(point, ":")
	return slices.Contains([]string{"reset", "stop", "extend"}, what)
}

// What draw returns besides the numbers of the actions.
const (
	nothing = -1
	theEnd  = -2
)

// draw says what is to be done at a point. Unless that is nothing, somebody is counted who
// does it: the caller starts them.
func (p *preemptions) draw() (what int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == 0 || p.random.IntN(3) != 0 {
		return nothing
	}
	p.others.Add(1)
	if p.left--; p.left == 0 {
		return theEnd
	}
	return p.random.IntN(10)
}

// begin starts somebody who is counted.
func (p *preemptions) begin(f func()) (done chan struct{}) {
	done = make(chan struct{})
	go func() { // runPreempted waits for it
		defer p.others.Done()
		defer close(done)
		f()
	}()
	return done
}

// await is begin, and waits for the end of it.
func (p *preemptions) await(f func()) { <-p.begin(f) }

// stop has nobody act any more, and waits for those who do.
func (p *preemptions) stop() {
	p.mu.Lock()
	p.left = 0
	p.mu.Unlock()
	p.others.Wait()
}

// end closes the session, once.
func (p *preemptions) end() {
	switch {
	case p.closed.Swap(true):
	case p.last == "Finish":
		p.s.Finish(p.last)
	default:
		p.s.Close(p.last)
	}
}

func (p *preemptions) write(how func([]byte) error) {
	p.mu.Lock()
	p.next++
	name := strconv.Itoa(p.next)
	p.mu.Unlock()
	frame := append([]byte(name+" "), p.body...)
	if how(append(frame, '\n')) == nil {
		p.mu.Lock()
		p.sent[name] = true
		p.mu.Unlock()
	}
}

// TestPreempt_WhatIsSentArrivesWhole goes through seeded schedules in which others post, send
// and close where a write of a session is preempted. Whatever Send and Post have taken arrives,
// whole and once, before the farewell; and the session ends.
func TestPreempt_WhatIsSentArrivesWhole(t *testing.T) {
	first, schedules := uint64(1), 400
	if seed := os.Getenv("SESSIONWHEEL_SEED"); seed != "" {
		n, err := strconv.ParseUint(seed, 10, 64)
		require.NoError(t, err)
		first, schedules = n, 1
	}
	for seed := first; seed < first+uint64(schedules); seed++ {
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { runPreempted(t, seed) }) {
			return
		}
	}
}

func runPreempted(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	p := &preemptions{
		random: random, left: 5 + random.IntN(25), sent: make(map[string]bool),
		last: []pool.Reason{"Finish", "Close"}[random.IntN(2)],
		body: make([]byte, []int{10, 3000, 3000, 1_000_000}[random.IntN(4)]),
	}
	for i := range p.body {
		p.body[i] = 'x'
	}
	srv := &tcp.Server{
		MaxOutbound: 64 << 20, LingerTimeout: harness.Patience,
		OnMessage: func(s *tcp.Session, _ []byte) { p.write(s.Post) },
		Farewell:  func(*tcp.Session, pool.Reason) []byte { return []byte("farewell \n") },
	}
	e := watch(srv)
	p.c = harness.ListenTCP(t, srv)()
	require.NoError(t, p.c.(*net.TCPConn).SetReadBuffer(64<<10))
	p.s = harness.Next(t, e.opened)
	preempt.Set(p.at)
	defer preempt.Set(nil)
	got := make(map[string]int)
	var reader sync.WaitGroup
	reader.Go(func() {
		lines := bufio.NewScanner(p.c)
		lines.Buffer(nil, 2<<20)
		for lines.Scan() {
			var name, body string
			_, _ = fmt.Sscan(lines.Text(), &name, &body)
			if name != "farewell" && len(body) != len(p.body) {
				t.Errorf("seed %d: %q has %d bytes", seed, name, len(body))
			}
			if got["farewell"] > 0 {
				t.Errorf("seed %d: %q after the farewell", seed, name)
			}
			got[name]++
		}
		if err := lines.Err(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	})
	for range 5 {
		p.others.Go(func() { p.write(p.s.Post) })
		p.others.Go(func() { p.write(p.s.Send) })
	}
	p.others.Go(func() { _, _ = io.WriteString(p.c, "reply\nreply\nreply\n") })
	time.Sleep(time.Millisecond)
	p.end() // if no preemption has come to it
	p.stop()
	select {
	case <-p.s.Done():
	case <-time.After(harness.Patience):
		t.Fatalf("seed %d: the session does not end", seed)
	}
	reader.Wait()
	preempt.Set(nil)
	for name := range p.sent {
		require.Equal(t, 1, got[name], "seed %d: %s", seed, name)
	}
	for name, n := range got {
		require.Equal(t, 1, n, "seed %d: %s", seed, name)
	}
	if p.last == "Close" {
		require.Equal(t, 1, got["farewell"], "seed %d", seed)
	}
	_ = p.c.Close()
	require.Eventually(t, func() bool { return srv.Traffic().Outbound == 0 }, harness.Patience, time.Millisecond)
}

// The close comes when the socket has taken part of what is sent, and nobody waits yet.
func TestPreempt_ACloseAmidASendOrAPostSendsItsRest(t *testing.T) {
	const size = 16 << 20 // more than the sockets take
	for point, write := range map[string]func(*tcp.Session, []byte) error{
		"send: written, perhaps in part": (*tcp.Session).Send,
		"post: written, perhaps in part": (*tcp.Session).Post,
	} {
		t.Run(point[:4], func(t *testing.T) {
			srv := &tcp.Server{MaxOutbound: 64 << 20, LingerTimeout: harness.Patience, Farewell: farewell}
			e := watch(srv)
			c := harness.ListenTCP(t, srv)()
			s := harness.Next(t, e.opened)
			at := func(p string) {
				if p == point {
					s.Close("Kicked")
				}
			}
			preempt.Set(at)
			defer preempt.Set(nil)
			_ = write(s, make([]byte, size)) // what arrives tells
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, size+len("bye: Kicked\n"), len(got))
			require.Equal(t, "bye: Kicked\n", string(got[size:]))
		})
	}
}

// twoFlushed returns two sessions of a server that gathers what is posted, with their peers.
func twoFlushed(t *testing.T) (a *tcp.Session, first net.Conn, b *tcp.Session, second net.Conn) {
	t.Helper()
	srv := &tcp.Server{FlushInterval: time.Millisecond}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	first = dial()
	a = harness.Next(t, e.opened)
	second = dial()
	return a, first, harness.Next(t, e.opened), second
}

// Others post while the flusher writes what they have posted before.
func TestPreempt_APostDuringAFlushIsFlushed(t *testing.T) {
	a, first, b, second := twoFlushed(t)
	var once sync.Once
	preempt.Set(func(p string) {
		if p == "pump: a piece is taken" {
			once.Do(func() { require.NoError(t, b.Post([]byte("b"))) })
		}
	})
	defer preempt.Set(nil)
	for range 2 { // in one flush or in two
		require.NoError(t, a.Post([]byte("a")))
		require.NoError(t, b.Post([]byte("b")))
	}
	harness.Read(t, first, "aa")
	harness.Read(t, second, "bbb")
}

// While the flusher writes to one session, posts to it and to another are gathered, and wait for
// no write.
func TestPreempt_WhatIsPostedDuringAFlushIsGathered(t *testing.T) {
	a, first, b, second := twoFlushed(t)
	writing, goOn := make(chan struct{}, 1), make(chan struct{})
	var once sync.Once
	preempt.Set(func(p string) {
		if p == "pump: a piece is taken" {
			once.Do(func() {
				writing <- struct{}{}
				select {
				case <-goOn:
				case <-time.After(harness.Patience):
					t.Error("a Post waits for a write")
				}
			})
		}
	})
	defer preempt.Set(nil)
	require.NoError(t, a.Post([]byte("a")))
	harness.Next(t, writing)
	for range 10 {
		require.NoError(t, a.Post([]byte("a")))
		require.NoError(t, b.Post([]byte("b")))
	}
	require.Equal(t, 10, b.Outbound())
	close(goOn)
	harness.Read(t, first, strings.Repeat("a", 11))
	harness.Read(t, second, strings.Repeat("b", 10))
}

// A Post is preempted until the server has ended: what it has queued is dropped.
func TestPreempt_APostThatOutlivesItsServerIsDropped(t *testing.T) {
	srv := &tcp.Server{}
	e := watch(srv)
	harness.ListenMemory(t, srv)() // what is posted there is written by a goroutine of its own
	s := harness.Next(t, e.opened)
	preempt.Set(func(p string) {
		if p == "post: queued" {
			require.NoError(t, srv.Close())
			ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
			defer cancel()
			require.NoError(t, srv.Shutdown(ctx))
		}
	})
	defer preempt.Set(nil)
	_ = s.Post([]byte("x"))
	harness.Until(t, func() bool { return srv.Traffic().Outbound == 0 })
}

// The session is closed by somebody else when Finish has begun: it is their close that counts.
func TestPreempt_ACloseAmidAFinishSaysFarewell(t *testing.T) {
	srv := &tcp.Server{LingerTimeout: harness.Patience, Farewell: farewell}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	s := harness.Next(t, e.opened)
	preempt.Set(func(p string) {
		if p == "finish: begun" {
			s.Close("Kicked")
		}
	})
	defer preempt.Set(nil)
	s.Finish("Done")
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "bye: Kicked\n", string(got))
	require.Equal(t, pool.Reason("Kicked"), harness.Next(t, e.closed))
}

// A Post writes what has gathered before it, and the session is closed and has said its last
// meanwhile: nothing comes behind that.
func TestPreempt_APostAmidACloseIsRefused(t *testing.T) {
	const gathered, rest = 10 << 10, 16 << 20 // together more than the sockets take
	for name, end := range map[string]func(*tcp.Session){
		"Close":  func(s *tcp.Session) { s.Close("Kicked") },
		"Finish": func(s *tcp.Session) { s.Finish("Kicked") },
	} {
		t.Run(name, func(t *testing.T) {
			last := ""
			if name == "Close" {
				last = "bye: Kicked\n"
			}
			srv := &tcp.Server{MaxOutbound: 64 << 20, LingerTimeout: harness.Patience, FlushInterval: time.Hour, Farewell: farewell}
			e := watch(srv)
			c := harness.ListenTCP(t, srv)()
			s := harness.Next(t, e.opened)
			harness.Until(t, func() bool { _, ok := srv.Session(s.ID()); return ok }) // it has been touched for its opening
			before := s.LastActive()
			require.NoError(t, s.Post([]byte("first")))
			harness.Read(t, c, "first")
			harness.Until(t, func() bool { return s.LastActive().After(before) }) // it is written, and counted
			require.NoError(t, s.Post(make([]byte, gathered)))
			var once sync.Once
			preempt.Set(func(p string) {
				if p == "pump: a piece is taken" {
					once.Do(func() {
						require.NoError(t, s.Post(make([]byte, rest)))
						end(s)
						require.Equal(t, pool.Reason("Kicked"), harness.Next(t, e.closed))
					})
				}
			})
			defer preempt.Set(nil)
			require.ErrorIs(t, s.Post(make([]byte, gathered)), tcp.ErrSessionClosed)
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, gathered+rest+len(last), len(got))
			require.Equal(t, last, string(got[gathered+rest:]))
		})
	}
}

// Shutdown looks at the sessions before one that has been accepted is among them, whose peer
// would have time for its handshake.
func TestPreempt_AShutdownAmidAnAcceptDoesNotWaitForAHandshake(t *testing.T) {
	server, _ := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, HandshakeTimeout: -1}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	harness.ServeTCP(t, srv, l)
	down := make(chan error, 1)
	var once sync.Once
	preempt.Set(func(p string) {
		if p != "admit: the session is counted" {
			return
		}
		once.Do(func() {
			go func() { // ends with the Shutdown, which the test waits for
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				down <- srv.Shutdown(ctx)
			}()
			time.Sleep(50 * time.Millisecond) // it waits for the session
		})
	})
	defer preempt.Set(nil)
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, harness.Next(t, down))
}
