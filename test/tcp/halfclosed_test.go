package tcp_test

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func closeWrite(t testing.TB, c net.Conn) {
	require.NoError(t, c.(interface{ CloseWrite() error }).CloseWrite())
}

func TestHalfClosed_ThePeerGetsTheReplyOfAnotherGoroutine(t *testing.T) {
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) {
			release := s.Hold()
			reply := append(line, " done\n"...)
			reply = append([]byte(nil), reply...)
			go func() {
				defer release()
				time.Sleep(50 * time.Millisecond)
				_ = s.Post(reply)
			}()
		}}
		e := watch(srv)
		c := listen(t, srv)()
		harness.Write(t, c, "work\n")
		closeWrite(t, c)
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "work done\n", string(got))
		require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
	})
}

func TestHalfClosed_EndsWhenNothingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) { _ = s.Post(make([]byte, 200_000)) }}
		e := watch(srv)
		c := harness.ListenMemory(t, srv)()
		s := harness.Next(t, e.opened)
		release := s.Hold()
		harness.Write(t, c, "x\n")
		closeWrite(t, c)
		time.Sleep(time.Second)
		require.Empty(t, e.closed, "bytes wait, and it is held")
		harness.Read(t, c, string(make([]byte, 200_000)))
		time.Sleep(time.Second)
		require.Empty(t, e.closed, "it is held")
		require.NoError(t, s.Send([]byte("more")))
		release()
		require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
		harness.Read(t, c, "more")
	})
}

func TestHalfClosed_CanBeClosedWhileItIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{}
		e := watch(srv)
		c := harness.ListenMemory(t, srv)()
		s := harness.Next(t, e.opened)
		s.Hold()
		closeWrite(t, c)
		synctest.Wait()
		require.Empty(t, e.closed)
		require.True(t, s.Close("Kicked"))
		require.Equal(t, pool.Reason("Kicked"), harness.Next(t, e.closed))
	})
}

// The peer takes longer than LingerTimeout to read.
func TestHalfClosed_ThePeerHasTimeToRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{LingerTimeout: time.Second, OnMessage: func(s *tcp.Session, line []byte) { _ = s.Post(make([]byte, 200_000)) }}
		e := watch(srv)
		c := harness.ListenMemory(t, srv)()
		harness.Write(t, c, "x\n")
		closeWrite(t, c)
		time.Sleep(10 * time.Second)
		require.Empty(t, e.closed)
		harness.Read(t, c, string(make([]byte, 200_000)))
		require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
	})
}
