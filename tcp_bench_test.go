//go:build unix

package sessionwheel_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// tcpBenchPeers are the servers that the benchmarks put side by side. Each serves
// lines on l until l is closed and echoes them. "bare" is a goroutine for each
// connection with a bufio.Scanner and no timeout at all; "deadline" also sets a
// read deadline before each read.
var tcpBenchPeers = []struct {
	name  string
	serve func(b *testing.B, l net.Listener) (stop func())
}{
	{"tcp", tcpBenchServe},
	{"bare", func(_ *testing.B, l net.Listener) func() { return tcpBenchBare(l, false) }},
	{"deadline", func(_ *testing.B, l net.Listener) func() { return tcpBenchBare(l, true) }},
}

func tcpBenchServe(b *testing.B, l net.Listener) func() {
	srv := &tcp.Server{Split: tcpBenchLines, OnMessage: func(s *tcp.Session, line []byte) { _ = s.Send(line) }}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with Shutdown; waited for below
	return func() {
		require.NoError(b, srv.Shutdown(context.Background()))
		require.ErrorIs(b, <-served, tcp.ErrServerClosed)
	}
}

// tcpBenchLines cuts lines with their ends, so that a line goes back as it came,
// without a copy.
func tcpBenchLines(data []byte, _ bool) (int, []byte, error) {
	n := bytes.IndexByte(data, '\n') + 1
	if n == 0 {
		return 0, nil, nil
	}
	return n, data[:n], nil
}

// tcpDeadlineReader sets a deadline before each read, as a server without a timer
// of its own does.
type tcpDeadlineReader struct{ net.Conn }

func (c tcpDeadlineReader) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func tcpBenchBare(l net.Listener, deadline bool) func() {
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
					sc = bufio.NewScanner(tcpDeadlineReader{c})
				}
				sc.Split(tcpBenchLines)
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
		conns.Wait() // the clients have closed their connections by now
	}
}

// tcpBenchClients are n connections to an echo server. They share the process with
// it, so their cost is part of what is measured, the same for each peer.
func tcpBenchClients(b *testing.B, l net.Listener, n int) []net.Conn {
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(b, err)
		conns[i] = c
	}
	return conns
}

// BenchmarkEcho sends lines of 64 bytes over 50 connections, on each the next
// when the last has come back. cpu-ns/op is what the whole process spent, the
// clients included.
func BenchmarkEcho(b *testing.B) {
	line := append(bytes.Repeat([]byte("x"), 63), '\n')
	for _, peer := range tcpBenchPeers {
		b.Run("peer="+peer.name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(b, err)
			stop := peer.serve(b, l)
			conns := tcpBenchClients(b, l, 50)
			b.ReportAllocs()
			b.ResetTimer()
			cpu := tcpProcessCPU()
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
			b.ReportMetric(float64(tcpProcessCPU()-cpu)/float64(b.N), "cpu-ns/op")
			b.StopTimer()
			for _, c := range conns {
				_ = c.Close()
			}
			stop()
		})
	}
}

// BenchmarkIdleConnections measures what an idle connection holds on the
// server's side: heap and stacks, without the kernel's part. lines=0 are connections that
// never sent anything, lines=1 such that echoed one line and went quiet.
func BenchmarkIdleConnections(b *testing.B) {
	const n = 3000
	for _, lines := range []int{0, 1} {
		for _, peer := range tcpBenchPeers {
			b.Run(fmt.Sprintf("peer=%s/lines=%d", peer.name, lines), func(b *testing.B) {
				for range b.N {
					b.ReportMetric(tcpIdleBytes(b, peer.serve, n, lines), "bytes/conn")
				}
			})
		}
	}
}

func tcpIdleBytes(b *testing.B, serve func(*testing.B, net.Listener) func(), n, lines int) float64 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	counted := &tcpCounting{Listener: l}
	stop := serve(b, counted)
	// The clients' ends are made raw, so that they weigh next to nothing.
	clients, err := tcpDialRaw(l.Addr().(*net.TCPAddr), 1)
	require.NoError(b, err)
	counted.waitFor(1)
	before := tcpSettledMemory()
	more, err := tcpDialRaw(l.Addr().(*net.TCPAddr), n)
	require.NoError(b, err)
	clients = append(clients, more...)
	counted.waitFor(n + 1)
	for range lines {
		for _, fd := range more {
			require.NoError(b, tcpEchoRaw(fd, []byte("hello\n")))
		}
	}
	after := tcpSettledMemory()
	for _, fd := range clients {
		tcpCloseRaw(fd)
	}
	stop()
	return float64(after-before) / float64(n)
}

// tcpCounting counts the connections that it gave out.
type tcpCounting struct {
	net.Listener
	accepted atomic.Int64
}

func (l *tcpCounting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return c, err
}

func (l *tcpCounting) waitFor(n int) {
	for l.accepted.Load() < int64(n) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // their goroutines come to rest
}

// tcpSettledMemory is the heap and the stacks in use after garbage collection.
func tcpSettledMemory() uint64 {
	var m runtime.MemStats
	for range 3 { // sync.Pools are empty after two, and stacks shrink by half each
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
