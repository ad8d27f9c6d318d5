package tcp_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestMemory_AnIdleConnectionHoldsNoReadBuffer(t *testing.T) {
	srv := &tcp.Server{OnMessage: harness.EchoLine}
	dial := harness.ListenTCP(t, srv)
	first := dial()
	harness.Write(t, first, "x\n")
	harness.Read(t, first, "x\n")
	heap := func() int64 {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const n = 500
	before := heap()
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = dial()
		harness.Write(t, conns[i], "x\n")
		harness.Read(t, conns[i], "x\n")
	}
	perConn := (heap() - before) / n
	require.Less(t, perConn, int64(6<<10), "both ends of a connection in bytes of heap; a read buffer alone has 8 KiB")
	runtime.KeepAlive(conns)
}

func TestMemory_APartOfAFrameTakesLessThanTwiceMaxFrame(t *testing.T) {
	for _, maxFrame := range []int{0, 5000, 40_000, 100_000, 3 << 20} {
		t.Run(fmt.Sprintf("MaxFrame=%d", maxFrame), func(t *testing.T) {
			const n = 6
			size := maxFrame
			if size == 0 {
				size = 128 << 10
			}
			var whole atomic.Int32 // sessions that hold all but the last byte
			srv := &tcp.Server{MaxFrame: maxFrame, FrameTimeout: -1, Split: func(data []byte, _ bool) (int, []byte, error) {
				if len(data) == size-1 {
					whole.Add(1)
				}
				return 0, nil, nil
			}}
			watch(srv)
			dial := harness.ListenTCP(t, srv)
			part := make([]byte, size-1)
			conns := make([]net.Conn, n)
			before := harness.Heap()
			for i := range conns {
				conns[i] = dial()
				_, err := conns[i].Write(part)
				require.NoError(t, err)
			}
			require.Eventually(t, func() bool { return whole.Load() == n }, harness.Patience, time.Millisecond)
			held := (harness.Heap() - before) / n
			runtime.KeepAlive(part)
			const connection = 16 << 10 // both ends of one, and what the smallest buffer has beyond its frame
			require.Greater(t, held, int64(size-1), "it holds what came")
			require.Less(t, held, int64(2*size+connection))
		})
	}
}

func TestMemory_AFloodOfEmptyLinesAllocatesNothing(t *testing.T) {
	var frames atomic.Int64
	srv := &tcp.Server{OnMessage: func(*tcp.Session, []byte) { frames.Add(1) }}
	c := harness.ListenTCP(t, srv)()
	lines := []byte(strings.Repeat("\n", 1<<16))
	flood := func(n int) {
		want := frames.Load() + int64(n*len(lines))
		for range n {
			_, err := c.Write(lines)
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool { return frames.Load() == want }, harness.Patience, 20*time.Millisecond)
	}
	flood(1)
	heap := harness.Heap()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 16
	flood(n)
	runtime.ReadMemStats(&after)
	require.Less(t, after.Mallocs-before.Mallocs, uint64(n*len(lines)/50), "for a million frames")
	require.Less(t, harness.Heap()-heap, int64(64<<10))
}

// So input that comes a byte at a time costs a Split that looks at all of it
// the square of the frame's length: half of that, to be exact.
func TestSplit_IsOfferedWhatIsPendingAtEachRead(t *testing.T) {
	const size = 500
	var offered, most atomic.Int64
	srv := &tcp.Server{MaxFrame: size, Split: func(data []byte, atEOF bool) (int, []byte, error) {
		offered.Add(int64(len(data)))
		most.Store(max(most.Load(), int64(len(data)))) // one session
		return bufio.ScanLines(data, atEOF)
	}}
	e := watch(srv)
	c := harness.ListenPipes(t, srv)()
	for range size - 1 {
		harness.Write(t, c, "x")
	}
	harness.Write(t, c, "\n")
	require.Len(t, harness.Next(t, e.messages), size-1)
	require.LessOrEqual(t, most.Load(), int64(size))
	require.LessOrEqual(t, offered.Load(), int64(size*(size+1)/2))
}

func TestMemory_AConnectionTakesOneGoroutine(t *testing.T) {
	server, _ := tlsConfigs(t)
	for _, config := range []*tls.Config{nil, server} { // under TLS: in their handshake
		srv := &tcp.Server{TLSConfig: config, HandshakeTimeout: -1}
		watch(srv)
		dial := harness.ListenTCP(t, srv)
		before := runtime.NumGoroutine()
		const n = 200
		for range n {
			dial()
		}
		require.Eventually(t, func() bool { return srv.Stats().Sessions == n }, harness.Patience, time.Millisecond)
		require.LessOrEqual(t, runtime.NumGoroutine(), before+n+10) // a few of the wheel and the runtime
	}
}
