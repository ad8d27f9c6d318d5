package tcp_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// join serves a server whose sessions all join the group, and returns a function that connects
// and waits for that.
func join(t testing.TB, srv *tcp.Server, g *tcp.Group, listen func(testing.TB, *tcp.Server) func() net.Conn) (dial func() net.Conn) {
	joined := make(chan bool, 1000)
	srv.OnNewSessionRegister = func(s *tcp.Session) { joined <- g.Add(s) }
	connect := listen(t, srv)
	return func() net.Conn {
		c := connect()
		if tc, ok := c.(interface{ Handshake() error }); ok {
			require.NoError(t, tc.Handshake())
		}
		require.True(t, harness.Next(t, joined))
		return c
	}
}

func TestGroup_PostReachesEachMember(t *testing.T) {
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		var g tcp.Group
		dial := join(t, &tcp.Server{}, &g, listen)
		conns := []net.Conn{dial(), dial(), dial()}
		require.Equal(t, 3, g.Len())
		message := []byte("hello\n")
		require.Equal(t, 3, g.Post(message))
		copy(message, "!!!!!!") // Post has copied what it keeps
		for _, c := range conns {
			harness.Read(t, c, "hello\n")
		}
	})
}

func TestGroup_IsLeftByASessionThatIsClosed(t *testing.T) {
	var g tcp.Group
	srv := &tcp.Server{}
	e := watch(srv)
	dial := join(t, srv, &g, harness.ListenTCP)
	c := dial()
	dial()
	for s := range g.All() {
		require.True(t, s.Close("out"))
		require.False(t, g.Add(s))
		break
	}
	require.Equal(t, pool.Reason("out"), harness.Next(t, e.closed))
	require.Equal(t, 1, g.Len())
	require.Equal(t, 1, g.Post([]byte("x")))
	_ = c
}

// Ten members never read. The group's post neither waits for them nor keeps the others from
// anything, from whichever callback it is called.
func TestGroup_PostWaitsForNoMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g tcp.Group
		srv := &tcp.Server{MaxOutbound: 100 << 10, Overflow: tcp.CloseSlow}
		srv.OnSessionClosed = func(*tcp.Session, pool.Reason) { g.Post([]byte("somebody left\n")) }
		srv.OnMessage = func(_ *tcp.Session, line []byte) { g.Post(append(line, '\n')) }
		dial := join(t, srv, &g, harness.ListenPipes)
		for range 10 {
			dial()
		}
		c := dial()
		var got bytes.Buffer
		var reader sync.WaitGroup
		reader.Go(func() { _, _ = io.Copy(&got, c) })
		start := time.Now()
		message := append(bytes.Repeat([]byte("m"), 4<<10-1), '\n')
		for range 50 {
			g.Post(message)
			synctest.Wait() // the reader has read
		}
		require.Zero(t, time.Since(start), "nothing waited")
		require.Equal(t, 1, g.Len(), "the others were closed as slow")
		require.Equal(t, uint64(10), srv.Traffic().Slow)
		require.NoError(t, c.Close())
		reader.Wait()
		require.Equal(t, 50, bytes.Count(got.Bytes(), message))
		require.Equal(t, 10, bytes.Count(got.Bytes(), []byte("somebody left\n")))
	})
}

func TestGroup_MembersShareOneCopy(t *testing.T) {
	const members, size = 100, 64 << 10
	var g tcp.Group
	srv := &tcp.Server{MaxPendingBytes: 10 * size}
	synctest.Test(t, func(t *testing.T) {
		dial := join(t, srv, &g, harness.ListenPipes)
		for range members {
			dial()
		}
		require.Equal(t, members, g.Post(make([]byte, size)))
		synctest.Wait()
		require.Equal(t, int64(members*size), srv.Traffic().Outbound, "whole for each")
		for s := range g.All() {
			require.Equal(t, size, s.Outbound())
		}
		for range 8 {
			require.Equal(t, members, g.Post(make([]byte, size)), "once for MaxPendingBytes")
		}
		synctest.Wait()
		require.Equal(t, members, g.Len())
		require.Zero(t, g.Post(make([]byte, 2*size)), "one too many")
		require.NoError(t, srv.Close())
	})
}

func TestGroup_MembersMayBeClosedWithinItsLoop(t *testing.T) {
	var g tcp.Group
	srv := &tcp.Server{}
	dial := join(t, srv, &g, harness.ListenTCP)
	for range 20 {
		dial()
	}
	n := 0
	for s := range g.All() {
		require.True(t, g.Remove(s))
		require.True(t, s.Close("one by one"))
		n++
	}
	require.Equal(t, 20, n)
	require.Zero(t, g.Len())
}
