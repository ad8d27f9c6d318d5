//go:build unix

package tcp_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// benchPeers are the servers that the benchmarks put side by side. Each serves
// lines on l until l is closed and echoes them. "wrapped" is tcp over connections of a type
// that it does not know, as those of a limiter; "bare" is a goroutine for each
// connection with a bufio.Scanner and no timeout at all; "deadline" also sets a
// read deadline before each read.
var benchPeers = []struct {
	name  string
	serve func(b *testing.B, l net.Listener) (stop func())
}{
	{"tcp", benchServe},
	{"wrapped", func(b *testing.B, l net.Listener) func() { return benchServe(b, wrappedListener{l}) }},
	{"bare", func(_ *testing.B, l net.Listener) func() { return benchBare(l, false) }},
	{"deadline", func(_ *testing.B, l net.Listener) func() { return benchBare(l, true) }},
}

// wrappedListener accepts connections that are nothing but a net.Conn.
type wrappedListener struct{ net.Listener }

func (l wrappedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

func benchServe(b *testing.B, l net.Listener) func() {
	srv := &tcp.Server{Split: benchLines, OnMessage: func(s *tcp.Session, line []byte) { _ = s.Send(line) }}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with Shutdown; waited for below
	return func() {
		require.NoError(b, srv.Shutdown(context.Background()))
		require.ErrorIs(b, <-served, tcp.ErrServerClosed)
	}
}

// benchLines cuts lines with their ends, so that a line goes back as it came,
// without a copy.
func benchLines(data []byte, _ bool) (int, []byte, error) {
	n := bytes.IndexByte(data, '\n') + 1
	if n == 0 {
		return 0, nil, nil
	}
	return n, data[:n], nil
}

// deadlineReader sets a deadline before each read, as a server without a timer
// of its own does.
type deadlineReader struct{ net.Conn }

func (c deadlineReader) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func benchBare(l net.Listener, deadline bool) func() {
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				sc := bufio.NewScanner(c)
				if deadline {
					sc = bufio.NewScanner(deadlineReader{c})
				}
				sc.Split(benchLines)
				for sc.Scan() {
					if _, err := c.Write(sc.Bytes()); err != nil {
						return
					}
				}
			})
		}
	})
	return func() {
		_ = l.Close()
		conns.Wait() // the clients have closed their connections already
	}
}

// benchClients are n connections to an echo server. They share the process with
// it, so their cost is part of what is measured, the same for each peer.
func benchClients(b *testing.B, l net.Listener, n int) []net.Conn {
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(b, err)
		conns[i] = c
	}
	return conns
}

// BenchmarkEcho sends lines of 64 bytes over 50 connections, each of which waits
// for its line to come back. cpu-ns/op is what the whole process used, clients
// included.
func BenchmarkEcho(b *testing.B) {
	line := append(bytes.Repeat([]byte("x"), 63), '\n')
	for _, peer := range benchPeers {
		b.Run("peer="+peer.name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(b, err)
			stop := peer.serve(b, l)
			conns := benchClients(b, l, 50)
			b.ReportAllocs()
			b.ResetTimer()
			cpu := processCPU()
			var clients sync.WaitGroup
			var left atomic.Int64
			left.Store(int64(b.N))
			for _, c := range conns {
				clients.Go(func() {
					buf := make([]byte, len(line))
					for left.Add(-1) >= 0 {
						if _, err := c.Write(line); err != nil {
							b.Error(err)
							return
						}
						for got := 0; got < len(line); {
							n, err := c.Read(buf[got:])
							if err != nil {
								b.Error(err)
								return
							}
							got += n
						}
					}
				})
			}
			clients.Wait()
			b.ReportMetric(float64(processCPU()-cpu)/float64(b.N), "cpu-ns/op")
			b.StopTimer()
			for _, c := range conns {
				_ = c.Close()
			}
			stop()
		})
	}
}

// BenchmarkIdleConnections measures what an idle connection holds on the
// server's side: heap and stacks, without the kernel's part. With lines=0 the
// connections never send anything, with lines=1 they send one line and stop.
func BenchmarkIdleConnections(b *testing.B) {
	const n = 3000
	for _, lines := range []int{0, 1} {
		for _, peer := range benchPeers {
			b.Run(fmt.Sprintf("peer=%s/lines=%d", peer.name, lines), func(b *testing.B) {
				for range b.N {
					b.ReportMetric(idleBytes(b, peer.serve, n, lines), "bytes/conn")
				}
			})
		}
	}
}

func idleBytes(b *testing.B, serve func(*testing.B, net.Listener) func(), n, lines int) float64 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	counted := &counting{Listener: l}
	stop := serve(b, counted)
	// The clients' ends are made raw, so that they weigh next to nothing.
	clients, err := dialRaw(l.Addr().(*net.TCPAddr), 1)
	require.NoError(b, err)
	counted.waitFor(1)
	before := settledMemory()
	more, err := dialRaw(l.Addr().(*net.TCPAddr), n)
	require.NoError(b, err)
	clients = append(clients, more...)
	counted.waitFor(n + 1)
	for range lines {
		for _, fd := range more {
			require.NoError(b, echoRaw(fd, []byte("hello\n")))
		}
	}
	after := settledMemory()
	for _, fd := range clients {
		closeRaw(fd)
	}
	stop()
	return float64(after-before) / float64(n)
}

// counting is a listener that counts the connections that it accepted.
type counting struct {
	net.Listener
	accepted atomic.Int64
}

func (l *counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return c, err
}

func (l *counting) waitFor(n int) {
	for l.accepted.Load() < int64(n) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // until their goroutines wait
}

// settledMemory is the heap and the stacks in use after garbage collection.
func settledMemory() uint64 {
	var m runtime.MemStats
	for range 3 { // sync.Pools are empty after two, and stacks shrink by half each
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// BenchmarkPipeline sends batches of 16 lines over 8 connections, each of which
// waits for its batch to come back.
func BenchmarkPipeline(b *testing.B) {
	const lines = 16
	batch := strings.Repeat("x", 31) + "\n"
	batch = strings.Repeat(batch, lines)
	for name, reply := range map[string]func(*tcp.Session, []byte){"Queue": postEcho, "Send": harness.EchoLine} {
		b.Run(fmt.Sprintf("reply=%s", name), func(b *testing.B) {
			dial := harness.ListenTCP(b, &tcp.Server{OnMessage: reply})
			b.ReportAllocs()
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				c, got := dial(), make([]byte, len(batch))
				for pb.Next() {
					if _, err := io.WriteString(c, batch); err != nil {
						b.Error(err)
						return
					}
					if _, err := io.ReadFull(c, got); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
