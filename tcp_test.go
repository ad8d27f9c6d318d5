package sessionwheel_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// tcpPatience is how long a test waits for what must happen.
const tcpPatience = time.Minute

// tcpNext waits for the next thing from ch.
func tcpNext[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	timer := time.NewTimer(tcpPatience)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		require.FailNow(t, "it did not happen")
		panic("unreachable")
	}
}

// tcpEvents is what the callbacks of a server were told.
type tcpEvents struct {
	opened   chan *tcp.Session
	messages chan string
	errors   chan error
	closed   chan pool.Reason
}

// tcpWatch makes srv tell its events, as far as it has no callbacks of its own.
func tcpWatch(srv *tcp.Server) tcpEvents {
	e := tcpEvents{make(chan *tcp.Session, 1000), make(chan string, 1000), make(chan error, 1000), make(chan pool.Reason, 1000)}
	if srv.OnNewSessionRegister == nil {
		srv.OnNewSessionRegister = func(s *tcp.Session) { e.opened <- s }
	}
	if srv.OnMessage == nil {
		srv.OnMessage = func(_ *tcp.Session, p []byte) { e.messages <- string(p) }
	}
	if srv.OnError == nil {
		srv.OnError = func(_ *tcp.Session, err error) { e.errors <- err }
	}
	if srv.OnSessionClosed == nil {
		srv.OnSessionClosed = func(_ *tcp.Session, r pool.Reason) { e.closed <- r }
	}
	return e
}

// tcpEcho sends a line back.
func tcpEcho(s *tcp.Session, line []byte) { _ = s.Send(append(line, '\n')) }

// tcpServe serves l until the test ends, and then waits for all that the server
// started.
func tcpServe(t testing.TB, srv *tcp.Server, l net.Listener) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with Shutdown, waited for by the cleanup
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), tcpPatience)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		require.ErrorIs(t, tcpNext(t, served), tcp.ErrServerClosed)
	})
}

// tcpListen serves on a socket of the loopback and returns a func that connects
// to it.
func tcpListen(t testing.TB, srv *tcp.Server) (dial func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	tcpServe(t, srv, l)
	return func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

// tcpPipes is a listener whose connections are net.Pipes, for fake time.
type tcpPipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *tcpPipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *tcpPipes) Close() error   { close(l.closed); return nil }
func (l *tcpPipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// tcpPiped is tcpListen over net.Pipes.
func tcpPiped(t testing.TB, srv *tcp.Server) (dial func() net.Conn) {
	t.Helper()
	l := &tcpPipes{make(chan net.Conn), make(chan struct{})}
	tcpServe(t, srv, l)
	return func() net.Conn {
		mine, theirs := net.Pipe()
		l.conns <- theirs
		t.Cleanup(func() { _ = mine.Close() })
		return mine
	}
}

// tcpOverBoth runs f over sockets, which the server reads past net.Conn, and
// over connections that it knows nothing about.
func tcpOverBoth(t *testing.T, f func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn)) {
	t.Run("socket", func(t *testing.T) { f(t, tcpListen) })
	t.Run("pipe", func(t *testing.T) { f(t, tcpPiped) })
}

func tcpWrite(t testing.TB, c net.Conn, s string) {
	t.Helper()
	_, err := io.WriteString(c, s)
	require.NoError(t, err)
}

// tcpRead reads exactly what is wanted.
func tcpRead(t testing.TB, c net.Conn, want string) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(tcpPatience)))
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	require.NoError(t, err, "after %q", got[:n])
	require.Equal(t, want, string(got))
}

// tcpGone waits for the server's end of the connection to be closed.
func tcpGone(t testing.TB, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(tcpPatience)) // a pipe that is gone refuses it
	_, err := io.Copy(io.Discard, c)
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "the connection is still open")
}

func TestCallbacksOfOneSessionAreSerialAndInOrder(t *testing.T) {
	tcpOverBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		const lines = 300
		var (
			inside atomic.Int32
			calls  []string // unguarded: the race detector sees callbacks that are not serial
			end    = make(chan []string, 1)
		)
		note := func(format string, args ...any) {
			if inside.Add(1) != 1 {
				calls = append(calls, "two at once")
			}
			calls = append(calls, fmt.Sprintf(format, args...))
			runtime.Gosched()
			inside.Add(-1)
		}
		srv := &tcp.Server{
			OnNewSessionRegister: func(*tcp.Session) { note("open") },
			OnMessage: func(s *tcp.Session, p []byte) {
				note("%s", p)
				if string(p) == "last" {
					s.Close("done")
				}
			},
			OnSessionClosed: func(_ *tcp.Session, r pool.Reason) { note("closed %s", r); end <- calls },
		}
		c := listen(t, srv)()
		want := []string{"open"}
		for i := range lines {
			tcpWrite(t, c, fmt.Sprintf("%d\n", i))
			want = append(want, fmt.Sprint(i))
		}
		want = append(want, "last", "closed done")
		tcpWrite(t, c, "last\n")
		require.Equal(t, want, tcpNext(t, end))
	})
}

func TestFramesBehindAClosingFrameAreDropped(t *testing.T) {
	var got []string
	end := make(chan struct{})
	srv := &tcp.Server{
		OnMessage: func(s *tcp.Session, p []byte) {
			got = append(got, string(p))
			if string(p) == "b" {
				require.True(t, s.Close("bye"))
				require.False(t, s.Close("again"))
			}
		},
		OnSessionClosed: func(_ *tcp.Session, r pool.Reason) { got = append(got, string(r)); close(end) },
	}
	tcpWrite(t, tcpListen(t, srv)(), "a\nb\nc\nd\n")
	tcpNext(t, end)
	require.Equal(t, []string{"a", "b", "bye"}, got)
}

func TestAppendingToAFrameDoesNotReachTheNextOne(t *testing.T) {
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, p []byte) { _ = s.Send(append(p, " and more\n"...)) }}
	c := tcpListen(t, srv)()
	tcpWrite(t, c, "one\ntwo\nthree\n")
	tcpRead(t, c, "one and more\ntwo and more\nthree and more\n")
}

func TestASessionClosedInOnNewSessionRegisterGetsNoMessage(t *testing.T) {
	srv := &tcp.Server{OnNewSessionRegister: func(s *tcp.Session) { s.Close("not you") }}
	e := tcpWatch(srv)
	dial := tcpListen(t, srv)
	c := dial()
	_, _ = io.WriteString(c, "a\n")
	require.Equal(t, pool.Reason("not you"), tcpNext(t, e.closed))
	tcpGone(t, c)
	require.Empty(t, e.messages)
	require.Empty(t, e.errors)
	require.Zero(t, srv.Stats().Sessions)
}

func TestASessionIsFoundFromItsFirstCallbackUntilItIsClosed(t *testing.T) {
	srv := &tcp.Server{}
	srv.OnNewSessionRegister = func(s *tcp.Session) {
		found, ok := srv.Session(s.ID())
		s.SetValue(ok && found == s && slices.Contains(slices.Collect(srv.Sessions()), s))
	}
	_, ok := srv.Session(1)
	require.False(t, ok)
	require.Zero(t, srv.Stats())
	require.Empty(t, slices.Collect(srv.Sessions()))

	closed := make(chan *tcp.Session, 1)
	srv.OnSessionClosed = func(s *tcp.Session, _ pool.Reason) { closed <- s }
	srv.OnMessage = tcpEcho
	dial := tcpListen(t, srv)
	for id := int64(1); id <= 3; id++ {
		c := dial()
		tcpWrite(t, c, "hi\n")
		tcpRead(t, c, "hi\n")
		s, ok := srv.Session(id)
		require.True(t, ok)
		require.Equal(t, id, s.ID())
		require.Equal(t, true, s.Value(), "found by its own OnNewSessionRegister")
		require.Equal(t, c.LocalAddr().String(), s.RemoteAddr().String())
		require.Equal(t, 1, srv.Stats().Sessions)
		require.NoError(t, c.Close())
		require.Same(t, s, tcpNext(t, closed))
		_, ok = srv.Session(id)
		require.False(t, ok)
		s.SetValue(42) // still harmless
		require.Equal(t, 42, s.Value())
	}
	require.EqualValues(t, 3, srv.Stats().ByReason[tcp.ReasonEOF])
}

func TestWhatCountsAsActivityIsTheServersChoice(t *testing.T) {
	const idle = 10 * time.Second
	for _, tt := range []struct {
		activity tcp.Activity
		act      string // "frame", "part", "send" at 8s
		want     time.Duration
	}{
		{tcp.ReceivedOrSent, "frame", 18 * time.Second},
		{tcp.ReceivedOrSent, "send", 18 * time.Second},
		{tcp.ReceivedOrSent, "part", 10 * time.Second},
		{tcp.ReceivedOrSent, "nothing", 10 * time.Second},
		{tcp.Received, "frame", 18 * time.Second},
		{tcp.Received, "send", 10 * time.Second},
		{tcp.Received, "part", 10 * time.Second},
		{tcp.Sent, "frame", 10 * time.Second},
		{tcp.Sent, "send", 18 * time.Second},
		{tcp.Sent, "reply", 18 * time.Second},
	} {
		t.Run(fmt.Sprintf("activity=%d/%s", tt.activity, tt.act), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &tcp.Server{IdleTimeout: idle, Activity: tt.activity}
				if tt.act == "reply" {
					srv.OnMessage = tcpEcho
				}
				e := tcpWatch(srv)
				c := tcpPiped(t, srv)()
				go io.Copy(io.Discard, c) //nolint:errcheck // ends when the session is closed
				start := time.Now()
				s := tcpNext(t, e.opened)
				time.Sleep(8 * time.Second)
				switch tt.act {
				case "frame", "reply":
					tcpWrite(t, c, "hello\n")
				case "part":
					tcpWrite(t, c, "hel")
				case "send":
					require.NoError(t, s.Send([]byte("news\n")))
				}
				require.Equal(t, pool.Timeout, tcpNext(t, e.closed))
				require.GreaterOrEqual(t, time.Since(start), tt.want)
				require.Less(t, time.Since(start), tt.want+time.Second)
				require.Empty(t, e.errors, "a timeout is no error")
			})
		})
	}
}

func TestASessionDoesNotTimeOutWhileOnMessageRuns(t *testing.T) {
	for _, activity := range []tcp.Activity{tcp.ReceivedOrSent, tcp.Received, tcp.Sent} {
		synctest.Test(t, func(t *testing.T) {
			srv := &tcp.Server{
				IdleTimeout: 10 * time.Second,
				Activity:    activity,
				OnMessage:   func(*tcp.Session, []byte) { time.Sleep(time.Hour) },
			}
			e := tcpWatch(srv)
			c := tcpPiped(t, srv)()
			start := time.Now()
			tcpWrite(t, c, "work\n")
			time.Sleep(time.Hour)
			require.Equal(t, pool.Timeout, tcpNext(t, e.closed))
			require.GreaterOrEqual(t, time.Since(start), time.Hour+10*time.Second, "a whole idle timeout follows")
			require.Less(t, time.Since(start), time.Hour+12*time.Second)
		})
	}
}

func TestTheIdleTimeoutCountsFromTheEndOfOnNewSessionRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{
			IdleTimeout:          10 * time.Second,
			OnNewSessionRegister: func(*tcp.Session) { time.Sleep(8 * time.Second) },
		}
		e := tcpWatch(srv)
		start := time.Now()
		tcpPiped(t, srv)()
		require.Equal(t, pool.Timeout, tcpNext(t, e.closed))
		require.GreaterOrEqual(t, time.Since(start), 18*time.Second)
	})
}

func TestHoldAndSetIdleTimeoutActOnOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: 10 * time.Second}
		e := tcpWatch(srv)
		tcpPiped(t, srv)()
		s := tcpNext(t, e.opened)
		s.SetIdleTimeout(20 * time.Second)
		time.Sleep(15 * time.Second)
		require.Empty(t, e.closed)
		release := s.Hold()
		time.Sleep(time.Hour)
		require.Empty(t, e.closed)
		release()
		time.Sleep(19 * time.Second)
		require.Empty(t, e.closed)
		require.Equal(t, pool.Timeout, tcpNext(t, e.closed))
	})
}

func TestLifetimeEndsAnActiveSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: 10 * time.Second, MaxLifetime: 33 * time.Second, OnMessage: tcpEcho}
		e := tcpWatch(srv)
		c := tcpPiped(t, srv)()
		for range 6 {
			tcpWrite(t, c, "x\n")
			tcpRead(t, c, "x\n")
			time.Sleep(5 * time.Second)
		}
		require.Equal(t, pool.Lifetime, tcpNext(t, e.closed))
		require.Empty(t, e.errors)
	})
}

func TestSilentSocketsTimeOutAndKeepTheirReason(t *testing.T) {
	srv := &tcp.Server{IdleTimeout: 50 * time.Millisecond}
	e := tcpWatch(srv)
	dial := tcpListen(t, srv)
	const n = 50
	for range n {
		dial()
	}
	for range n {
		require.Equal(t, pool.Timeout, tcpNext(t, e.closed))
	}
	require.Empty(t, e.errors, "the read error that closing causes is nobody's business")
	require.EqualValues(t, n, srv.Stats().ByReason[pool.Timeout])
}

func TestIdleTimeoutIsOnByDefaultAndOffWhenNegative(t *testing.T) {
	for idle, want := range map[time.Duration]bool{0: true, -1: false} {
		synctest.Test(t, func(t *testing.T) {
			srv := &tcp.Server{IdleTimeout: idle}
			e := tcpWatch(srv)
			tcpPiped(t, srv)()
			tcpNext(t, e.opened)
			time.Sleep(5*time.Minute - time.Second)
			require.Empty(t, e.closed)
			time.Sleep(2 * time.Second)
			require.Equal(t, want, len(e.closed) == 1)
			time.Sleep(24 * time.Hour)
			require.Equal(t, want, len(e.closed) == 1)
		})
	}
}

func TestConcurrentSendsDoNotInterleave(t *testing.T) {
	const senders, each = 8, 100
	srv := &tcp.Server{}
	e := tcpWatch(srv)
	c := tcpListen(t, srv)()
	s := tcpNext(t, e.opened)
	var sends sync.WaitGroup
	for i := range senders {
		sends.Go(func() {
			for j := range each {
				frame, err := tcp.AppendFrame(nil, bytes.Repeat([]byte{byte('a' + i)}, j*300))
				if err == nil {
					err = s.Send(frame)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // the socket fills, so that writes are cut
	var next [senders]int
	frames := bufio.NewScanner(c)
	frames.Buffer(nil, 1<<20)
	frames.Split(tcp.ScanFrames)
	empty := 0
	for total := 0; total < senders*each && frames.Scan(); total++ {
		body := frames.Bytes()
		if len(body) == 0 {
			empty++
			continue
		}
		i := int(body[0] - 'a')
		next[i]++
		require.Equal(t, next[i]*300, len(body), "a sender's frames keep their order")
		require.Empty(t, strings.Trim(string(body), string(body[:1])))
	}
	require.NoError(t, frames.Err())
	require.Equal(t, senders, empty)
	sends.Wait()
}

func TestSendAfterCloseIsErrSessionClosed(t *testing.T) {
	tcpOverBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{}
		e := tcpWatch(srv)
		c := listen(t, srv)()
		s := tcpNext(t, e.opened)
		require.NoError(t, s.Send(nil))
		require.True(t, s.Close("enough"))
		require.ErrorIs(t, s.Send([]byte("x")), tcp.ErrSessionClosed)
		require.ErrorIs(t, s.Send(nil), tcp.ErrSessionClosed)
		tcpGone(t, c)
		require.Equal(t, pool.Reason("enough"), tcpNext(t, e.closed))
		require.Empty(t, e.errors)
	})
}

// tcpLateClose is a connection that is gone at once when it is closed, while its
// Close takes until the gate opens.
type tcpLateClose struct {
	net.Conn
	gate chan struct{}
}

func (c tcpLateClose) Close() error {
	err := c.Conn.Close()
	<-c.gate
	return err
}

func TestOnSessionClosedWaitsForTheConnectionsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{}
		e := tcpWatch(srv)
		l := &tcpPipes{make(chan net.Conn), make(chan struct{})}
		tcpServe(t, srv, l)
		mine, theirs := net.Pipe()
		defer mine.Close()
		gate := make(chan struct{})
		l.conns <- tcpLateClose{theirs, gate}
		s := tcpNext(t, e.opened)
		go s.Close("bye") // returns when the gate opens
		synctest.Wait()
		require.Empty(t, e.closed)
		close(gate)
		require.Equal(t, pool.Reason("bye"), tcpNext(t, e.closed))
	})
}

func TestWrongFieldsAreNamedWithTheirFix(t *testing.T) {
	for want, srv := range map[string]*tcp.Server{
		"Server.MaxFrame":         {MaxFrame: -1},
		"Server.MaxSessions":      {MaxSessions: -1},
		"Server.MaxSessionsPerIP": {MaxSessionsPerIP: -1},
		"Server.Activity":         {Activity: 3},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		err = srv.Serve(l)
		require.ErrorContains(t, err, want+" is ")
		require.ErrorContains(t, err, ": use ")
		_, err = l.Accept()
		require.ErrorIs(t, err, net.ErrClosed, "the listener is closed when Serve returns")
		require.NoError(t, srv.Close())
	}
	require.ErrorContains(t, new(tcp.Server).ListenAndServe(), "Server.Addr is empty: use ")
	srv := &tcp.Server{Addr: "no such host.invalid:1"}
	require.ErrorContains(t, srv.ListenAndServe(), "Server.Addr")
	require.NoError(t, srv.Close())
}

func TestAnIdleConnectionHoldsNoReadBuffer(t *testing.T) {
	srv := &tcp.Server{OnMessage: tcpEcho}
	dial := tcpListen(t, srv)
	first := dial()
	tcpWrite(t, first, "x\n")
	tcpRead(t, first, "x\n")
	heap := func() int64 {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const n = 500
	before := heap()
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = dial()
		tcpWrite(t, conns[i], "x\n")
		tcpRead(t, conns[i], "x\n")
	}
	perConn := (heap() - before) / n
	require.Less(t, perConn, int64(6<<10), "both ends of a connection in bytes of heap; a read buffer alone has 8 KiB")
	runtime.KeepAlive(conns)
}
