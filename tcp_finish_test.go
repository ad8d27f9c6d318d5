package sessionwheel_test

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
)

// finishEcho queues lines back and finishes with "quit".
func finishEcho(s *tcp.Session, line []byte) {
	if string(line) == "quit" {
		s.Finish("Quit")
		s.Finish("Again")
	}
	queueEcho(s, line)
}

func TestAFinishedSessionClosesBehindItsLastReply(t *testing.T) {
	queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{OnMessage: finishEcho}
		e := tcpWatch(srv)
		c := listen(t, srv)()
		go io.WriteString(c, "a\nquit\nb\n") //nolint:errcheck // what is read tells
		all, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "a\nquit\n", string(all))
		require.Equal(t, pool.Reason("Quit"), tcpNext(t, e.closed))
		require.Empty(t, e.errors)
	})
}

func TestALastReplyIsSentToItsEnd(t *testing.T) {
	reply := strings.Repeat("x", 8<<20) // more than sockets take
	queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
			s.Finish("Quit")
			_ = s.Queue([]byte(reply))
			_ = s.Queue([]byte("bye"))
		}}
		e := tcpWatch(srv)
		c := listen(t, srv)()
		tcpWrite(t, c, "x\n")
		tcpRead(t, c, reply+"bye")
		tcpGone(t, c)
		require.Equal(t, pool.Reason("Quit"), tcpNext(t, e.closed))
	})
}

func TestASessionMayFinishWithItsGreeting(t *testing.T) {
	queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{OnNewSessionRegister: func(s *tcp.Session) {
			s.Finish("Busy")
			_ = s.Queue([]byte("come again\n"))
		}}
		e := tcpWatch(srv)
		c := listen(t, srv)()
		tcpRead(t, c, "come again\n")
		tcpGone(t, c)
		require.Equal(t, pool.Reason("Busy"), tcpNext(t, e.closed))
	})
}

func TestAPeerThatDoesNotReadItsLastReplyIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{WriteTimeout: 3 * time.Second, OnMessage: finishEcho}
		e := tcpWatch(srv)
		c := tcpPiped(t, srv)()
		tcpWrite(t, c, "quit\n")
		require.Equal(t, tcp.ReasonSlow, tcpNext(t, e.closed))
	})
}

// The reason is the one that the session was finished for, and not Shutdown's.
func TestASessionThatFinishesWhileItIsDrainedKeepsItsReason(t *testing.T) {
	onMessage, entered, letGo := queueGate(finishEcho)
	srv := &tcp.Server{OnMessage: onMessage}
	e := tcpWatch(srv)
	c := tcpListen(t, srv)()
	t.Cleanup(letGo)
	tcpWrite(t, c, "wait\nquit\nb\n")
	tcpNext(t, entered)
	down := tcpShutdown(t.Context(), srv)
	require.Empty(t, down)
	letGo()
	all, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "quit\n", string(all))
	require.NoError(t, tcpNext(t, down))
	require.Equal(t, pool.Reason("Quit"), tcpNext(t, e.closed))
}

func TestAnEarlierCloseKeepsItsReasonFromFinish(t *testing.T) {
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
		s.Close("First")
		s.Finish("Second")
	}}
	e := tcpWatch(srv)
	tcpWrite(t, tcpListen(t, srv)(), "x\n")
	require.Equal(t, pool.Reason("First"), tcpNext(t, e.closed))
}

func TestTheIdleTimeoutOfAServerCanBeChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: time.Hour}
		srv.SetIdleTimeout(10 * time.Second)
		require.Equal(t, 10*time.Second, srv.IdleTimeout)
		e := tcpWatch(srv)
		dial := tcpPiped(t, srv)
		begun := time.Now()
		c := dial()
		require.Equal(t, pool.Timeout, tcpNext(t, e.closed))
		require.InDelta(t, 10*time.Second, time.Since(begun), float64(time.Second))
		tcpGone(t, c)

		c = dial()
		synctest.Wait()
		srv.SetIdleTimeout(-1)
		time.Sleep(time.Hour)
		require.Empty(t, e.closed)
		srv.SetIdleTimeout(0) // the default
		begun = time.Now()
		require.Equal(t, pool.Timeout, <-e.closed)
		require.InDelta(t, 5*time.Minute, time.Since(begun), float64(time.Second))
		tcpGone(t, c)
	})
}
