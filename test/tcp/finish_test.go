package tcp_test

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// finishEcho posts lines back and finishes with "quit".
func finishEcho(s *tcp.Session, line []byte) {
	postEcho(s, line)
	if string(line) == "quit" {
		s.Finish("Quit")
		s.Finish("Again")
	}
}

func TestFinish_ClosesBehindTheLastReply(t *testing.T) {
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{LingerTimeout: harness.Patience, OnMessage: finishEcho}
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
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{MaxOutbound: len(reply) + 3, LingerTimeout: harness.Patience, OnMessage: func(s *tcp.Session, _ []byte) {
			_ = s.Post([]byte(reply))
			_ = s.Post([]byte("bye"))
			s.Finish("Quit")
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
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{LingerTimeout: harness.Patience, OnNewSessionRegister: func(s *tcp.Session) {
			_ = s.Post([]byte("come again\n"))
			s.Finish("Busy")
		}}
		e := watch(srv)
		c := listen(t, srv)()
		harness.Read(t, c, "come again\n")
		harness.WaitClosed(t, c)
		require.Equal(t, pool.Reason("Busy"), harness.Next(t, e.closed))
	})
}

// The callbacks do not wait for it.
func TestFinish_GivesThePeerWriteTimeoutForItsLastReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{WriteTimeout: 3 * time.Second, OnMessage: finishEcho}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		start := time.Now()
		harness.Write(t, c, "quit\n")
		require.Equal(t, pool.Reason("Quit"), harness.Next(t, e.closed))
		require.Zero(t, time.Since(start))
		require.NoError(t, srv.Shutdown(t.Context()))
		require.GreaterOrEqual(t, time.Since(start), 3*time.Second)
		require.Less(t, time.Since(start), 4*time.Second)
	})
}

// The reason is the one that the session was finished for, and not Shutdown's.
func TestFinish_DuringAShutdownKeepsItsReason(t *testing.T) {
	t.Parallel() // it waits for LingerTimeout
	onMessage, entered, letGo := gate(finishEcho)
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

// The peer has read the reply, and sends more, which is never handled. It is told of the end,
// and not reset.
func TestFinish_DoesNotResetAPeerThatHasReadAll(t *testing.T) {
	t.Parallel() // it waits for acknowledgements
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		for _, last := range []string{"quit", "final"} {
			more := make(chan struct{})
			srv := &tcp.Server{LingerTimeout: harness.Patience, Split: splitLast, OnMessage: func(s *tcp.Session, line []byte) {
				_ = s.Send([]byte("bye\n"))
				<-more
				if string(line) == "quit" {
					s.Finish("Quit")
				}
			}}
			c := listen(t, srv)()
			harness.Write(t, c, last+"\n")
			harness.Read(t, c, "bye\n")
			time.Sleep(50 * time.Millisecond) // and its system has acknowledged that
			harness.Write(t, c, strings.Repeat("more\n", 1000))
			close(more)
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF, last)
			_ = c.Close()
		}
	})
}

// When LingerTimeout is over, the peer is still receiving what the kernel has.
func TestFinish_LeavesAPeerThatReadsToTheKernel(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no other system tells how much is acknowledged")
	}
	t.Parallel() // it waits for a timeout
	const size, linger = 1 << 20, 12 * time.Second
	srv := &tcp.Server{LingerTimeout: linger, OnMessage: func(s *tcp.Session, _ []byte) {
		require.NoError(t, s.Post(make([]byte, size)))
		s.Finish("Quit")
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	harness.ServeTCP(t, srv, l)
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.(*net.TCPConn).SetReadBuffer(16<<10))
	harness.Write(t, c, "quit\n")
	const each = 40
	for i := range each {
		n, err := io.CopyN(io.Discard, c, size/each)
		require.NoError(t, err, "%d bytes of part %d", n, i)
		time.Sleep(linger * 3 / 2 / each)
	}
	rest, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Len(t, rest, size%each)
}

// The callback that finishes a session may go on for longer than a session keeps its goroutine
// without input. The peer's time to read is not cut short by that.
func TestFinish_InACallbackThatGoesOnLeavesThePeerItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const linger = 10 * time.Second
		srv := &tcp.Server{LingerTimeout: linger, OnMessage: func(s *tcp.Session, _ []byte) {
			_ = s.Post([]byte("last\n")) // what arrives tells
			s.Finish("Finished")
			time.Sleep(linger / 2)
		}}
		c := harness.ListenMemory(t, srv)()
		harness.Write(t, c, "finish\n")
		for range 8 { // the server drops what it is sent
			time.Sleep(linger / 10)
			harness.Write(t, c, "more\n")
		}
		harness.Read(t, c, "last\n")
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	})
}
