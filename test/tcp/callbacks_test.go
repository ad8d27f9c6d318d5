package tcp_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/pipes"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestCallbacks_OfOneSessionAreSerialAndInOrder(t *testing.T) {
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
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
			harness.Write(t, c, fmt.Sprintf("%d\n", i))
			want = append(want, fmt.Sprint(i))
		}
		want = append(want, "last", "closed done")
		harness.Write(t, c, "last\n")
		require.Equal(t, want, harness.Next(t, end))
	})
}

func TestOnMessage_FramesBehindAClosingFrameAreDropped(t *testing.T) {
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
	harness.Write(t, harness.ListenTCP(t, srv)(), "a\nb\nc\nd\n")
	harness.Next(t, end)
	require.Equal(t, []string{"a", "b", "bye"}, got)
}

func TestOnMessage_AppendingToAFrameDoesNotReachTheNextOne(t *testing.T) {
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, p []byte) { _ = s.Send(append(p, " and more\n"...)) }}
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "one\ntwo\nthree\n")
	harness.Read(t, c, "one and more\ntwo and more\nthree and more\n")
}

func TestOnMessage_IsNotCalledWhenOnNewSessionRegisterHasClosedTheSession(t *testing.T) {
	srv := &tcp.Server{OnNewSessionRegister: func(s *tcp.Session) { s.Close("not you") }}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	c := dial()
	_, _ = io.WriteString(c, "a\n")
	require.Equal(t, pool.Reason("not you"), harness.Next(t, e.closed))
	harness.WaitClosed(t, c)
	require.Empty(t, e.messages)
	require.Empty(t, e.errors)
	require.Zero(t, srv.Stats().Sessions)
}

// lateClose is a connection that is closed at once, but whose Close returns only
// when the gate opens.
type lateClose struct {
	net.Conn
	gate chan struct{}
}

func (c lateClose) Close() error {
	err := c.Conn.Close()
	<-c.gate
	return err
}

func TestOnSessionClosed_WaitsForTheConnectionsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{}
		e := watch(srv)
		l := pipes.New()
		harness.ServeTCP(t, srv, l)
		mine, theirs := net.Pipe()
		defer mine.Close()
		gate := make(chan struct{})
		l.Conns <- lateClose{theirs, gate}
		s := harness.Next(t, e.opened)
		go s.Close("bye") // returns when the gate opens
		synctest.Wait()
		require.Empty(t, e.closed)
		close(gate)
		require.Equal(t, pool.Reason("bye"), harness.Next(t, e.closed))
	})
}
