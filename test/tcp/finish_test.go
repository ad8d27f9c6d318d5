package tcp_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// finishEcho queues lines back and finishes with "quit".
func finishEcho(s *tcp.Session, line []byte) {
	if string(line) == "quit" {
		s.Finish("Quit")
		s.Finish("Again")
	}
	queueEcho(s, line)
}

func TestFinish_ClosesBehindTheLastReply(t *testing.T) {
	queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{OnMessage: finishEcho}
		e := watch(srv)
		c := listen(t, srv)()
		go io.WriteString(c, "a\nquit\nb\n") //nolint:errcheck // what is read tells
		all, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "a\nquit\n", string(all))
		require.Equal(t, pool.Reason("Quit"), harness.Next(t, e.closed))
		require.Empty(t, e.errors)
	})
}

func TestFinish_SendsTheLastReplyToItsEnd(t *testing.T) {
	reply := strings.Repeat("x", 8<<20) // more than sockets take
	queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
			s.Finish("Quit")
			_ = s.Queue([]byte(reply))
			_ = s.Queue([]byte("bye"))
		}}
		e := watch(srv)
		c := listen(t, srv)()
		harness.Write(t, c, "x\n")
		harness.Read(t, c, reply+"bye")
		harness.WaitClosed(t, c)
		require.Equal(t, pool.Reason("Quit"), harness.Next(t, e.closed))
	})
}

func TestFinish_MayFollowAGreeting(t *testing.T) {
	queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{OnNewSessionRegister: func(s *tcp.Session) {
			s.Finish("Busy")
			_ = s.Queue([]byte("come again\n"))
		}}
		e := watch(srv)
		c := listen(t, srv)()
		harness.Read(t, c, "come again\n")
		harness.WaitClosed(t, c)
		require.Equal(t, pool.Reason("Busy"), harness.Next(t, e.closed))
	})
}

func TestFinish_OfAPeerThatDoesNotReadItsLastReplyIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{WriteTimeout: 3 * time.Second, OnMessage: finishEcho}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		harness.Write(t, c, "quit\n")
		require.Equal(t, tcp.ReasonSlow, harness.Next(t, e.closed))
	})
}

// The reason is the one that the session was finished for, and not Shutdown's.
func TestFinish_DuringAShutdownKeepsItsReason(t *testing.T) {
	onMessage, entered, letGo := queueGate(finishEcho)
	srv := &tcp.Server{OnMessage: onMessage}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	t.Cleanup(letGo)
	harness.Write(t, c, "wait\nquit\nb\n")
	harness.Next(t, entered)
	down := startShutdown(t.Context(), srv)
	require.Empty(t, down)
	letGo()
	all, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "quit\n", string(all))
	require.NoError(t, harness.Next(t, down))
	require.Equal(t, pool.Reason("Quit"), harness.Next(t, e.closed))
}

func TestFinish_AfterACloseChangesNoReason(t *testing.T) {
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
		s.Close("First")
		s.Finish("Second")
	}}
	e := watch(srv)
	harness.Write(t, harness.ListenTCP(t, srv)(), "x\n")
	require.Equal(t, pool.Reason("First"), harness.Next(t, e.closed))
}

func TestFinish_WithoutAReasonIsClosed(t *testing.T) {
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) { s.Finish("") }}
	e := watch(srv)
	harness.Write(t, harness.ListenTCP(t, srv)(), "x\n")
	require.Equal(t, pool.Closed, harness.Next(t, e.closed))
}
