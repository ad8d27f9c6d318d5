package tcp_test

import (
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestEOF_OfAPeerIsNoError(t *testing.T) {
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{}
		e := watch(srv)
		c := listen(t, srv)()
		harness.Write(t, c, "one\nlast line without its end")
		require.NoError(t, c.Close())
		require.Equal(t, "one", harness.Next(t, e.messages))
		require.Equal(t, "last line without its end", harness.Next(t, e.messages))
		require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
		require.Empty(t, e.errors)
	})
}

func TestEOF_OfAPeerThatClosesItsSideStillGetsTheReplies(t *testing.T) {
	srv := &tcp.Server{OnMessage: harness.EchoLine}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "a\nb")
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	harness.Read(t, c, "a\nb\n")
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
}

func TestOnError_GetsAReadErrorOnce(t *testing.T) {
	srv := &tcp.Server{}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "x\n")
	harness.Next(t, e.messages)
	require.NoError(t, c.(*net.TCPConn).SetLinger(0)) // closing resets the connection
	require.NoError(t, c.Close())
	require.Equal(t, tcp.ReasonError, harness.Next(t, e.closed))
	err := harness.Next(t, e.errors)
	require.ErrorIs(t, err, tcp.ErrRead)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Empty(t, e.errors)
}

func TestSend_ThatFailsClosesWithError(t *testing.T) {
	sent := make(chan error, 1)
	gone := make(chan struct{})
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
		<-gone
		var err error
		for err == nil {
			err = s.Send([]byte("anybody there?\n"))
		}
		sent <- err
	}}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "x\n")
	harness.Next(t, e.opened)
	require.NoError(t, c.(*net.TCPConn).SetLinger(0))
	require.NoError(t, c.Close())
	close(gone)
	require.ErrorIs(t, harness.Next(t, sent), tcp.ErrWrite)
	require.Equal(t, tcp.ReasonError, harness.Next(t, e.closed))
	require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrWrite)
}
