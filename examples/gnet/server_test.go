//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
)

func TestFrames_AreEchoedHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	sv := launch(t, config{})
	c := dial(t, sv.addr)
	c.echo("")
	c.echo("one")
	c.echo(strings.Repeat("large", 13_107)) // 65,535

	many := bytes.Repeat(append(frame("pipelined"), frame("")...), 2000)
	c.send(many)
	c.wants(many)

	for _, b := range frame("byte by byte") {
		c.send([]byte{b})
		time.Sleep(time.Millisecond) // so that the parts may arrive in separate reads
	}
	c.wants(frame("byte by byte"))

	both := append(frame(strings.Repeat("x", 40_000)), frame("whole")...)
	for part := range 10 { // the last one ends the second frame as well
		size := len(both) / 10
		end := (part + 1) * size
		if part == 9 {
			end = len(both)
		}
		c.send(both[part*size : end])
		time.Sleep(time.Millisecond)
	}
	c.wants(both)
	require.NoError(t, c.Close())
	sv.wants(t, map[pool.Reason]uint64{reasonEOF: 1})
}

func TestFrames_ThatAreInvalidEndTheSessionAfterTheEarlierOnes(t *testing.T) {
	t.Parallel()
	sv := launch(t, config{maxFrame: 256})
	want := make(map[pool.Reason]uint64)
	for _, tt := range []struct {
		bad string
		why pool.Reason
	}{
		{"x", reasonBadFrame},
		{"GET / HTTP/1.1\r\n", reasonBadFrame},
		{"$\x00\x01!", reasonBadFrame},
		{"$\x00\xfd#", reasonTooLarge}, // 257, by its header alone
		{"$\xff\xff#", reasonTooLarge},
	} {
		c := dial(t, sv.addr)
		largest := frame(strings.Repeat("x", 252))
		c.send(append(bytes.Clone(largest), tt.bad...))
		c.wants(largest)
		require.Empty(t, c.closed())
		want[tt.why]++
		sv.wants(t, want)
	}
}

func TestFrames_ThatStayIncompleteTimeOut(t *testing.T) {
	t.Parallel()
	sv := launch(t, config{})
	c := dial(t, sv.addr)
	c.send(frame("half")[:6])
	require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
	require.Empty(t, c.closed())
	sv.wants(t, map[pool.Reason]uint64{reasonEOF: 1})
	reset := dial(t, sv.addr)
	reset.echo("x")
	require.NoError(t, reset.Conn.(*net.TCPConn).SetLinger(0))
	require.NoError(t, reset.Close())
	sv.wants(t, map[pool.Reason]uint64{reasonEOF: 1, reasonError: 1})
}

func TestIdleTimeout_OnlyWholeFramesAreActivity(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second
	sv := launch(t, config{timeout: timeout})
	active := dial(t, sv.addr)
	active.echo("active")
	over := make(chan struct{})
	var others sync.WaitGroup
	for _, send := range [][]byte{nil, frame(strings.Repeat("x", 60_000))} {
		others.Go(func() {
			c := dial(t, sv.addr)
			start := time.Now()
			c.echo("last")
			go func() { // bytes of a frame that is never whole; ends with the connection
				for _, b := range send {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			}()
			c.closed()
			require.GreaterOrEqual(t, time.Since(start), timeout)
		})
	}
	go func() { // ends with the two
		others.Wait()
		close(over)
	}()
	for gone := false; !gone; {
		active.echo("active")
		select {
		case <-over:
			gone = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	active.echo("still there")
	sv.wants(t, map[pool.Reason]uint64{pool.Timeout: 2})
}

func TestClose_OneOfManyFromOtherGoroutinesWins(t *testing.T) {
	t.Parallel()
	const peers, closers = 50, 8
	sv := launch(t, config{})
	clients := make([]peer, peers)
	for i := range clients {
		clients[i] = dial(t, sv.addr)
		clients[i].echo("x")
	}
	var wg sync.WaitGroup
	var won [closers]atomic.Uint64
	begin := make(chan struct{})
	for _, s := range sv.sessions.All() {
		for i := range closers {
			wg.Go(func() {
				<-begin
				if s.Close(pool.Reason(fmt.Sprint(i))) {
					won[i].Add(1)
				}
			})
		}
	}
	close(begin)
	wg.Wait()
	want := make(map[pool.Reason]uint64)
	var sum uint64
	for i := range won {
		if n := won[i].Load(); n > 0 {
			want[pool.Reason(fmt.Sprint(i))] = n
			sum += n
		}
	}
	require.EqualValues(t, peers, sum)
	for _, c := range clients {
		require.Empty(t, c.closed())
	}
	sv.wants(t, want)
	eventually(t, func() bool { return sv.engine.CountConnections() == 0 }, func() any { return sv.engine.CountConnections() })
}

// plug opens a file, which takes the lowest free descriptor.
func plug(t *testing.T) *os.File {
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestClose_ThatIsLateSparesTheNextConnectionOfItsDescriptor(t *testing.T) {
	sv := launch(t, config{})
	low := plug(t) // given to the next client, so that it does not take the descriptor
	old := dial(t, sv.addr)
	old.echo("x")
	s, ok := sv.sessions.Get(1)
	require.True(t, ok)
	require.NoError(t, old.Close())
	<-s.Done()
	fd := s.Conn().loop.Fd()
	require.Less(t, int(low.Fd()), fd)
	eventually(t, func() bool { // what is free below goes to plugs, until the descriptor is free and does
		p := plug(t)
		if int(p.Fd()) != fd {
			return false
		}
		require.NoError(t, p.Close())
		return true
	}, func() any { return fd })
	require.NoError(t, low.Close())
	next := dial(t, sv.addr)
	next.echo("x")
	again, ok := sv.sessions.Get(2)
	require.True(t, ok)
	require.Equal(t, fd, again.Conn().loop.Fd(), "the descriptor is not reused")
	require.NoError(t, s.Conn().Close())
	require.NoError(t, s.Conn().loop.Close()) // as if the loop had not set gone
	require.False(t, s.Close("late"))
	for range 10 {
		next.echo("still there")
	}
	sv.wants(t, map[pool.Reason]uint64{reasonEOF: 1})
}

func TestSlow_ClosesAPeerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	sv := launch(t, config{})
	c, other := dial(t, sv.addr), dial(t, sv.addr)
	f := frame(strings.Repeat("x", 60_000))
	sent := 0
	for {
		n, err := c.Write(f)
		sent += n
		if err != nil {
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			break
		}
		require.Less(t, sent, 1<<30, "it takes whatever comes")
	}
	sv.wants(t, map[pool.Reason]uint64{reasonSlow: 1})
	other.echo("x")
}

func TestMaxSessions_RefusesConnectionsUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	sv := launch(t, config{maxSessions: 2})
	a, b := dial(t, sv.addr), dial(t, sv.addr)
	a.echo("a")
	b.echo("b")
	require.Empty(t, dial(t, sv.addr).closed())
	require.EqualValues(t, 1, sv.sessions.Stats().RefusedFull)
	require.NoError(t, a.Close())
	sv.wants(t, map[pool.Reason]uint64{reasonEOF: 1})
	dial(t, sv.addr).echo("c")
	b.echo("b")
}

func TestConnection_HasNoGoroutine(t *testing.T) {
	sv := launch(t, config{})
	dial(t, sv.addr).echo("x")
	before := runtime.NumGoroutine()
	for range 300 {
		dial(t, sv.addr).echo("x")
	}
	require.Less(t, runtime.NumGoroutine()-before, 30)
	require.Equal(t, 301, sv.sessions.Len())
}

func TestStop_ClosesAllSessionsAndReportsThem(t *testing.T) {
	t.Parallel()
	const peers = 300
	sv := launch(t, config{})
	clients := make([]peer, peers)
	for i := range clients {
		clients[i] = dial(t, sv.addr)
		clients[i].echo("x")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, sv.stop(ctx))
	require.Equal(t, map[pool.Reason]uint64{pool.Shutdown: peers}, sv.reasons())
	for _, c := range clients {
		require.Empty(t, c.closed())
	}
	_, err := net.Dial("tcp", sv.addr)
	require.Error(t, err)
}

func TestStop_WaitsForClosesInProgress(t *testing.T) {
	t.Parallel()
	sv := launch(t, config{})
	c := dial(t, sv.addr)
	c.echo("x")
	s, ok := sv.sessions.Get(1)
	require.True(t, ok)
	sv.mu.Lock() // makes OnSessionClosed wait
	unlock := sync.OnceFunc(sv.mu.Unlock)
	defer unlock()
	closed := make(chan bool, 1)
	go func() { closed <- s.Close("Kicked") }() // waited for below
	require.Empty(t, c.closed())
	eventually(t, func() bool { return sv.engine.CountConnections() == 0 }, func() any { return sv.engine.CountConnections() })
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	require.ErrorIs(t, sv.stop(ctx), context.DeadlineExceeded)
	require.NoError(t, sv.engine.Validate())
	unlock()
	require.True(t, <-closed)
	sv.wants(t, map[pool.Reason]uint64{"Kicked": 1})
}

// fake is a gnet.Conn whose other methods panic.
type fake struct {
	gnet.Conn
	s        *session
	buffered int
}

func (f *fake) Context() any         { return f.s }
func (f *fake) InboundBuffered() int { return f.buffered }

func TestLoop_SkipsNeedlessCallsOfGnet(t *testing.T) {
	t.Parallel()
	sv := launch(t, config{})
	gc := &fake{buffered: 99}
	c := &conn{loop: gc, need: 100}
	s, err := sv.sessions.Register(-1, c)
	require.NoError(t, err)
	gc.s = s
	require.Equal(t, gnet.None, sv.OnTraffic(gc), "no Peek for what cannot be a whole frame")
	gc.buffered = 100
	require.Panics(t, func() { sv.OnTraffic(gc) }, "the fake would tell")
	require.Equal(t, gnet.None, sv.OnClose(gc, io.EOF), "no close is queued for what the loop closes itself")
	sv.wants(t, map[pool.Reason]uint64{reasonEOF: 1})
}

func TestAddr_InUseIsNamedInTheError(t *testing.T) {
	t.Parallel()
	sv := launch(t, config{})
	second, err := newServer(config{}, sv.log, nil)
	require.NoError(t, err)
	require.EqualError(t, second.run(sv.addr), "--addr "+sv.addr+": bind: address already in use")
	_, err = second.sessions.Register(1, &conn{})
	require.ErrorIs(t, err, pool.ErrPoolClosed)
	_, err = io.WriteString(dial(t, sv.addr), "$")
	require.NoError(t, err)
}
