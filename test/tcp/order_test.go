package tcp_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// Posts of several goroutines, which take turns, arrive in that order, whatever Sends and
// callbacks do meanwhile; and the Sends of each goroutine in theirs.
func TestOrder_IsThatOfTheCalls(t *testing.T) {
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		const posters, senders, each = 4, 3, 300
		srv := &tcp.Server{MaxOutbound: 64 << 20, OnMessage: func(s *tcp.Session, line []byte) {
			require.NoError(t, s.Post([]byte("reply "+string(line)+"\n")))
		}}
		e := watch(srv)
		c := listen(t, srv)()
		var all sync.WaitGroup
		all.Go(func() {
			for i := range each {
				if _, err := fmt.Fprintln(c, i); err != nil {
					t.Error(err)
					return
				}
			}
		})
		s := harness.Next(t, e.opened)
		var turns sync.Mutex
		next := 0
		for p := range posters {
			all.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(p)))
				for range each {
					turns.Lock()
					err := s.Post([]byte(fmt.Sprintf("post %d %s\n", next, strings.Repeat("x", random.IntN(3000)))))
					next++
					turns.Unlock()
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for i := range senders {
			all.Go(func() {
				for j := range each {
					if err := s.Send([]byte(fmt.Sprintf("send%d %d\n", i, j))); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		counts := make(map[string]int)
		lines := bufio.NewScanner(c)
		for range each * (1 + posters + senders) {
			require.True(t, lines.Scan(), "%v", lines.Err())
			var kind string
			var n int
			_, err := fmt.Sscan(lines.Text(), &kind, &n)
			require.NoError(t, err, lines.Text())
			require.Equal(t, counts[kind], n, kind)
			counts[kind]++
		}
		all.Wait()
	})
}

// A peer that reads without a pause is not slow, however much it is sent, and however short
// WriteTimeout is beside that.
func TestWriteTimeout_CountsFromTheLastProgress(t *testing.T) {
	t.Parallel() // it takes as long as it takes to read much slowly
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		t.Parallel() // likewise
		const size, piece, writeTimeout = 16 << 20, 64 << 10, 5 * time.Second
		srv := &tcp.Server{WriteTimeout: writeTimeout, MaxOutbound: size, OnMessage: func(s *tcp.Session, line []byte) {
			if string(line) == "post" {
				_ = s.Post(make([]byte, size))
				return
			}
			_ = s.Send(make([]byte, size))
		}}
		e := watch(srv)
		c := listen(t, srv)()
		for _, how := range []string{"send", "post"} {
			harness.Write(t, c, how+"\n")
			start := time.Now()
			for got := int64(0); got < size; {
				n, err := io.CopyN(io.Discard, c, piece)
				require.NoError(t, err, "%s: after %d bytes", how, got)
				got += n
				time.Sleep(30 * time.Millisecond)
			}
			require.Greater(t, time.Since(start), writeTimeout, "it took longer than WriteTimeout")
		}
		require.Empty(t, e.closed)
		require.Empty(t, e.errors)
	})
}

// The socket tells that it can be written to only when a third of its buffer is free, which
// takes such a peer longer than WriteTimeout.
func TestWriteTimeout_SeesAPeerThatEmptiesTheSocketSlowly(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no other system tells how much is acknowledged")
	}
	t.Parallel() // it takes as long as it takes to read much slowly
	const size = 5 << 20
	srv := &tcp.Server{WriteTimeout: 3 * time.Second, OnMessage: func(s *tcp.Session, line []byte) { _ = s.Send(make([]byte, size)) }}
	e := watch(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	harness.ServeTCP(t, srv, l)
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.(*net.TCPConn).SetReadBuffer(64<<10))
	harness.Write(t, c, "send\n")
	for got := int64(0); got < size; {
		n, err := io.CopyN(io.Discard, c, min(20<<10, size-got))
		require.NoError(t, err, "after %d bytes", got)
		got += n
		time.Sleep(60 * time.Millisecond)
	}
	require.Empty(t, e.closed)
}

// One may write while the other queues: neither is left behind.
func TestPost_OfTwoAtTheSameTimeArriveBoth(t *testing.T) {
	srv := &tcp.Server{}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	s := harness.Next(t, e.opened)
	for range 5000 {
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { _ = s.Post([]byte("x")) })
		}
		harness.Read(t, c, "xx")
		both.Wait()
	}
}
