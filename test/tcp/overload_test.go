package tcp_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestMaxPendingBytes_BoundsPartialFrames(t *testing.T) {
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{MaxPendingBytes: 300 << 10, MaxFrame: 128 << 10}
		e := watch(srv)
		dial := listen(t, srv)
		half := strings.Repeat("x", 60<<10)
		refused := 0
		for range 10 {
			c := dial()
			harness.Next(t, e.opened)
			go c.Write([]byte(half)) //nolint:errcheck // it may be closed meanwhile
		}
		for ; refused < 5; refused++ {
			require.Equal(t, tcp.ReasonOverload, harness.Next(t, e.closed))
			require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrOverload)
		}
		c := dial() // what needs no more memory than it has is served
		harness.Next(t, e.opened)
		harness.Write(t, c, "whole\n")
		require.Equal(t, "whole", harness.Next(t, e.messages))
	})
}

// What was counted is given back with a frame that is whole, a queue that is sent, a
// handshake that is done and a session that ends.
func TestMaxPendingBytes_IsGivenBack(t *testing.T) {
	server, client := tlsConfigs(t)
	srv := &tcp.Server{MaxPendingBytes: 100 << 10, TLSConfig: server, OnMessage: postEcho}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	for range 50 {
		c := tls.Client(dial(), client)
		for range 3 {
			harness.Write(t, c, strings.Repeat("x", 20_000))
			harness.Write(t, c, "\n")
			harness.Read(t, c, strings.Repeat("x", 20_000)+"\n")
		}
		harness.Write(t, c, strings.Repeat("x", 20_000)) // and is left half done
		require.NoError(t, c.Close())
		require.NotEqual(t, tcp.ReasonOverload, harness.Next(t, e.closed))
	}
	require.Zero(t, srv.Traffic().Outbound)
}

func TestMaxPendingBytes_BoundsQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{MaxPendingBytes: 1 << 20}
		e := watch(srv)
		dial := harness.ListenPipes(t, srv)
		full := 0
		for range 10 {
			dial()
			s := harness.Next(t, e.opened)
			if err := s.Post(make([]byte, 200<<10)); err != nil {
				require.ErrorIs(t, err, tcp.ErrOverload)
				require.Equal(t, tcp.ReasonOverload, harness.Next(t, e.closed))
				full++
			}
		}
		require.Equal(t, 5, full)
	})
}

func TestMaxHandshakes_BoundsThem(t *testing.T) {
	server, client := tlsConfigs(t)
	begun, proceed := make(chan struct{}, 10), make(chan struct{})
	server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		begun <- struct{}{}
		<-proceed
		return nil, nil
	}
	srv := &tcp.Server{TLSConfig: server, MaxHandshakes: 2, OnMessage: harness.EchoLine}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	conns := make([]net.Conn, 2)
	for i := range conns {
		c := tls.Client(dial(), client)
		conns[i] = c
		go func() { _ = c.Handshake() }() // the Write below waits for it, and tells if it fails
		harness.Next(t, begun)
	}
	for range 2 {
		c := dial()
		harness.Write(t, c, "\x16") // the first byte of a handshake
		harness.WaitClosed(t, c)
		require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrOverload)
	}
	require.Equal(t, uint64(2), srv.Stats().ByReason[tcp.ReasonOverload])
	close(proceed)
	for _, c := range append(conns, tls.Client(dial(), client)) {
		harness.Write(t, c, "x\n")
		harness.Read(t, c, "x\n")
	}
	require.Empty(t, e.closed)
}

// Small posts are gathered in buffers, large ones have memory of their own, and a group's is
// shared.
func TestMaxPendingBytes_OfAQueueIsGivenBackWhenItIsSentOrDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{MaxPendingBytes: 100 << 10, LingerTimeout: -1}
		e := watch(srv)
		dial := harness.ListenPipes(t, srv)
		for i := range 50 {
			var g tcp.Group
			c, other := dial(), dial()
			for range 2 {
				require.True(t, g.Add(harness.Next(t, e.opened)))
			}
			for _, size := range []int{100, 10_000, 20_000} {
				require.Equal(t, 2, g.Post(make([]byte, size)), "round %d", i)
				for s := range g.All() {
					require.NoError(t, s.Post(make([]byte, size)), "round %d", i)
				}
				for _, c := range []net.Conn{c, other} {
					harness.Read(t, c, string(make([]byte, 2*size)))
				}
				synctest.Wait()
			}
			require.Equal(t, 2, g.Post(make([]byte, 10_000)))
			for s := range g.All() {
				require.NoError(t, s.Post(make([]byte, 100)))
				require.True(t, s.Close("Kicked"))
			}
			time.Sleep(time.Second)
		}
		require.Zero(t, srv.Traffic().Outbound)
	})
}

func TestMaxPendingBytes_DoesNotCountFramesThatAreWhole(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{MaxPendingBytes: 100 << 10, OnMessage: postEcho}
		e := watch(srv)
		dial := listen(t, srv)
		for range 20 { // which stay open
			c := dial()
			harness.Write(t, c, strings.Repeat("x", 20_000))
			time.Sleep(5 * time.Millisecond) // it is read in parts
			harness.Write(t, c, "\n")
			harness.Read(t, c, strings.Repeat("x", 20_000)+"\n")
		}
		require.Empty(t, e.closed)
	})
}
