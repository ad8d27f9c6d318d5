package udp_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

// benchPeers are the servers that the benchmark puts side by side. Each calls
// handle for each datagram and sends it back. "bare" does so on the goroutine
// that reads, without sessions; "spawn" on a goroutine and in a copy of its own
// for each datagram, in no order and without a bound.
var benchPeers = []struct {
	name  string
	serve func(tb testing.TB, pc *net.UDPConn, handle func([]byte)) (stop func())
}{
	{"udp", func(tb testing.TB, pc *net.UDPConn, handle func([]byte)) func() {
		srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) { handle(p); _ = s.Send(p) }}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(pc) }() // ends with Shutdown; waited for below
		return func() {
			require.NoError(tb, srv.Shutdown(context.Background()))
			require.ErrorIs(tb, <-served, udp.ErrServerClosed)
		}
	}},
	{"bare", func(_ testing.TB, pc *net.UDPConn, handle func([]byte)) func() {
		return benchBare(pc, func(p []byte, from netip.AddrPort) {
			handle(p)
			_, _ = pc.WriteToUDPAddrPort(p, from)
		})
	}},
	{"spawn", func(_ testing.TB, pc *net.UDPConn, handle func([]byte)) func() {
		return benchBare(pc, func(p []byte, from netip.AddrPort) {
			p = append([]byte(nil), p...)
			go func() { // ends when it has answered
				handle(p)
				_, _ = pc.WriteToUDPAddrPort(p, from)
			}()
		})
	}},
}

func benchBare(pc *net.UDPConn, receive func([]byte, netip.AddrPort)) (stop func()) {
	var reader sync.WaitGroup
	reader.Go(func() {
		p := make([]byte, 1<<16)
		for {
			n, from, err := pc.ReadFromUDPAddrPort(p)
			if err != nil {
				return
			}
			receive(p[:n], from)
		}
	})
	return func() { _ = pc.Close(); reader.Wait() }
}

// BenchmarkUDPEcho measures round trips of 16 peers. With slow=true every
// hundredth datagram takes a millisecond to handle, which others should not feel.
func BenchmarkUDPEcho(b *testing.B) {
	for _, slow := range []bool{false, true} {
		for _, peer := range benchPeers {
			b.Run(fmt.Sprintf("slow=%v/server=%s", slow, peer.name), func(b *testing.B) {
				pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
				require.NoError(b, err)
				var calls atomic.Int64
				defer peer.serve(b, pc, func([]byte) {
					if calls.Add(1)%100 == 0 && slow {
						time.Sleep(time.Millisecond)
					}
				})()
				b.SetParallelism(16 / runtime.GOMAXPROCS(0))
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					c := dialUDP(b, pc.LocalAddr())
					p := make([]byte, 100)
					for pb.Next() {
						_ = c.SetReadDeadline(time.Now().Add(time.Second)) // after a loss it asks again
						if _, err := c.Write(p); err != nil {
							b.Error(err)
							return
						}
						_, _ = c.Read(p)
					}
				})
			})
		}
	}
}

// BenchmarkUDPIdleSession measures the memory of an idle session, including its
// share of all tables.
func BenchmarkUDPIdleSession(b *testing.B) {
	const n = defaultSessions
	for b.Loop() {
		wire := newFakeSocket()
		var handled atomic.Int64
		srv := &udp.Server{OnMessage: func(*udp.Session, []byte) { handled.Add(1) }}
		before := harness.Heap()
		served := make(chan error, 1)
		go func() { served <- srv.Serve(wire) }() // ends with Shutdown; waited for below
		for i := range n {
			addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 5000)
			wire.in <- packet{data: "a", addr: net.UDPAddrFromAddrPort(addr)}
		}
		for handled.Load() < n {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64(harness.Heap()-before)/n, "B/session")
		require.Equal(b, n, srv.Stats().Sessions)
		require.NoError(b, srv.Shutdown(context.Background()))
		require.ErrorIs(b, <-served, udp.ErrServerClosed)
		require.EqualValues(b, n, srv.Stats().ByReason[pool.Shutdown])
	}
}

// defaultSessions is the default of udp.Server.MaxSessions.
const defaultSessions = 65_536
