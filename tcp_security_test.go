package sessionwheel_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// The figures of SECURITY.md that no other test shows.

func TestTheTestsThatSecurityNamesExist(t *testing.T) {
	doc, err := os.ReadFile("SECURITY.md")
	require.NoError(t, err)
	var tests strings.Builder
	for _, pattern := range []string{"*_test.go", "proxyproto/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			code, err := os.ReadFile(file)
			require.NoError(t, err)
			tests.Write(code)
		}
	}
	names := regexp.MustCompile("`Test[^`]*`").FindAllString(string(doc), -1)
	require.NotEmpty(t, names)
	for _, name := range names {
		require.True(t, strings.Contains(tests.String(), "func "+strings.Trim(name, "`")+"("), "SECURITY.md names %s", name)
	}
}

// tcpHeap is how many bytes of heap are in use when what is free was freed.
func tcpHeap() int64 {
	var m runtime.MemStats
	for range 3 { // sync.Pools are empty after two
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestAPartOfAFrameHoldsLessThanTwiceMaxFrame(t *testing.T) {
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
			tcpWatch(srv)
			dial := tcpListen(t, srv)
			part := make([]byte, size-1)
			conns := make([]net.Conn, n)
			before := tcpHeap()
			for i := range conns {
				conns[i] = dial()
				_, err := conns[i].Write(part)
				require.NoError(t, err)
			}
			require.Eventually(t, func() bool { return whole.Load() == n }, tcpPatience, time.Millisecond)
			held := (tcpHeap() - before) / n
			runtime.KeepAlive(part)
			const connection = 16 << 10 // both ends of one, and what the smallest buffer has beyond its frame
			require.Greater(t, held, int64(size-1), "it holds what came")
			require.Less(t, held, int64(2*size+connection))
		})
	}
}

func TestAFloodOfEmptyLinesAllocatesNothing(t *testing.T) {
	var frames atomic.Int64
	srv := &tcp.Server{OnMessage: func(*tcp.Session, []byte) { frames.Add(1) }}
	c := tcpListen(t, srv)()
	lines := []byte(strings.Repeat("\n", 1<<16))
	flood := func(n int) {
		want := frames.Load() + int64(n*len(lines))
		for range n {
			_, err := c.Write(lines)
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool { return frames.Load() == want }, tcpPatience, 20*time.Millisecond)
	}
	flood(1)
	heap := tcpHeap()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 16
	flood(n)
	runtime.ReadMemStats(&after)
	require.Less(t, after.Mallocs-before.Mallocs, uint64(n*len(lines)/50), "for a million frames")
	require.Less(t, tcpHeap()-heap, int64(64<<10))
}

// So input that comes a byte at a time costs a Split that looks at all of it
// the square of the frame's length: half of that, to be exact.
func TestSplitIsOfferedWhatIsPendingAtEachRead(t *testing.T) {
	const size = 500
	var offered, most atomic.Int64
	srv := &tcp.Server{MaxFrame: size, Split: func(data []byte, atEOF bool) (int, []byte, error) {
		offered.Add(int64(len(data)))
		most.Store(max(most.Load(), int64(len(data)))) // one session
		return bufio.ScanLines(data, atEOF)
	}}
	e := tcpWatch(srv)
	c := tcpPiped(t, srv)()
	for range size - 1 {
		tcpWrite(t, c, "x")
	}
	tcpWrite(t, c, "\n")
	require.Len(t, tcpNext(t, e.messages), size-1)
	require.LessOrEqual(t, most.Load(), int64(size))
	require.LessOrEqual(t, offered.Load(), int64(size*(size+1)/2))
}

func TestAConnectionTakesOneGoroutine(t *testing.T) {
	server, _ := tcpTLS(t)
	for _, config := range []*tls.Config{nil, server} { // under TLS: in their handshake
		srv := &tcp.Server{TLSConfig: config, HandshakeTimeout: -1}
		tcpWatch(srv)
		dial := tcpListen(t, srv)
		before := runtime.NumGoroutine()
		const n = 200
		for range n {
			dial()
		}
		require.Eventually(t, func() bool { return srv.Stats().Sessions == n }, tcpPatience, time.Millisecond)
		require.LessOrEqual(t, runtime.NumGoroutine(), before+n+10) // a few of the wheel and the runtime
	}
}

func TestAStormOfRefusedConnectionsLeavesNothingButOneLineEach(t *testing.T) {
	var log tcpLogBuffer
	srv := &tcp.Server{MaxSessions: 1, MaxSessionsPerIP: 10, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	e := tcpWatch(srv)
	dial := tcpListen(t, srv)
	dial()
	tcpNext(t, e.opened)
	goroutines := runtime.NumGoroutine()
	const n = 90 // fewer than the log is limited to
	for range n {
		c := dial()
		_, _ = io.WriteString(c, "qzxj\n") // it may be closed already
		tcpGone(t, c)
		require.ErrorIs(t, tcpNext(t, e.errors), pool.ErrFull)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines+10)
	require.EqualValues(t, n, srv.Stats().RefusedFull)
	require.Equal(t, 1, srv.Stats().Sessions)
	require.Equal(t, n, strings.Count(log.String(), "\n"))
	require.NotContains(t, log.String(), "qz")
}

func TestTheCountOfAnAddressGoesWithItsSessions(t *testing.T) {
	srv := &tcp.Server{MaxSessionsPerIP: 1}
	closed := make(chan pool.Reason, 1)
	srv.OnSessionClosed = func(_ *tcp.Session, r pool.Reason) { closed <- r }
	l := &tcpPipes{make(chan net.Conn), make(chan struct{})}
	tcpServe(t, srv, l)
	from := func(n, to int) {
		for i := n; i < to; i++ {
			mine, theirs := net.Pipe()
			ip := net.IP{0x20, 1, 0xd, 0xb8, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i), 15: 1}
			l.conns <- tcpFrom{theirs, &net.TCPAddr{IP: ip, Port: 1}}
			_ = mine.Close()
			tcpNext(t, closed)
		}
	}
	const n = 10_000
	from(0, n/10)
	before := tcpHeap()
	from(n/10, n)
	require.Less(t, tcpHeap()-before, int64(20*n), "a network that is kept takes twice that at least")
}

func TestARecordOfTLSThatIsNeverWholeEndsByTheIdleTimeout(t *testing.T) {
	server, client := tcpTLS(t)
	srv := &tcp.Server{TLSConfig: server, IdleTimeout: 500 * time.Millisecond}
	e := tcpWatch(srv)
	raw := tcpListen(t, srv)()
	require.NoError(t, tls.Client(raw, client).Handshake())
	tcpNext(t, e.opened)
	tcpWrite(t, raw, "\x17\x03\x03\x40\x00") // application data, 16 KiB of them
	for len(e.closed) == 0 {
		_, _ = raw.Write([]byte("x"))
		time.Sleep(5 * time.Millisecond)
	}
	require.Equal(t, pool.Timeout, tcpNext(t, e.closed))
	require.Empty(t, e.errors)
}

func TestATrickleOfAHandshakeEndsByTheHandshakeTimeout(t *testing.T) {
	server, _ := tcpTLS(t)
	srv := &tcp.Server{TLSConfig: server, HandshakeTimeout: 500 * time.Millisecond}
	e := tcpWatch(srv)
	c := tcpListen(t, srv)()
	tcpWrite(t, c, "\x16\x03\x01\x40\x00\x01\x00\xff\xfb") // a ClientHello of 64 KiB
	for len(e.errors) == 0 {
		_, _ = c.Write([]byte("x"))
		time.Sleep(5 * time.Millisecond)
	}
	require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrHandshake)
	require.EqualValues(t, 1, srv.Stats().ByReason[tcp.ReasonHandshake])
	require.Empty(t, e.opened)
}

// tcpReads is a listener that counts the bytes that its connections read.
type tcpReads struct {
	net.Listener
	n *atomic.Int64
}

func (l tcpReads) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return tcpReadsConn{c, l.n}, err
}

type tcpReadsConn struct {
	net.Conn
	n *atomic.Int64
}

func (c tcpReadsConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func TestHalfAHandshakeHoldsABoundedAmount(t *testing.T) {
	server, _ := tcpTLS(t)
	srv := &tcp.Server{TLSConfig: server, HandshakeTimeout: -1}
	e := tcpWatch(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var read atomic.Int64
	tcpServe(t, srv, tcpReads{l, &read})
	const n, record = 10, 1 << 14
	part := "\x16\x03\x01\x40\x00\x01\x00\xff\xfb" + strings.Repeat("x", record-4)
	part += strings.Repeat("\x16\x03\x01\x40\x00"+strings.Repeat("x", record), 3)
	part = part[:len(part)-1] // of a ClientHello of 64 KiB all but the last byte
	conns := make([]net.Conn, n)
	before := tcpHeap()
	for i := range conns {
		conns[i], err = net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer conns[i].Close()
		tcpWrite(t, conns[i], part)
	}
	require.Eventually(t, func() bool { return read.Load() == int64(n*len(part)) }, tcpPatience, time.Millisecond)
	held := (tcpHeap() - before) / n
	require.Greater(t, held, int64(32<<10), "it holds what came")
	require.Less(t, held, int64(256<<10))
	require.Empty(t, e.errors)
}

func TestOldVersionsOfTLSAreSpokenOnlyWhenAskedFor(t *testing.T) {
	for _, tt := range []struct {
		least, version uint16
		spoken         bool
	}{
		{0, tls.VersionTLS10, false},
		{0, tls.VersionTLS11, false},
		{0, tls.VersionTLS12, true},
		{0, tls.VersionTLS13, true},
		{tls.VersionTLS13, tls.VersionTLS12, false},
		{tls.VersionTLS11, tls.VersionTLS11, true},
	} {
		server, client := tcpTLS(t)
		server.MinVersion = tt.least
		client.MinVersion, client.MaxVersion = tt.version, tt.version
		srv := &tcp.Server{TLSConfig: server}
		e := tcpWatch(srv)
		c := tls.Client(tcpListen(t, srv)(), client)
		err := c.Handshake()
		require.Equal(t, tt.spoken, err == nil, "%s with MinVersion %s: %v", tls.VersionName(tt.version), tls.VersionName(tt.least), err)
		if tt.spoken {
			tcpNext(t, e.opened)
		} else {
			require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrHandshake)
		}
	}
}

func TestAPeerThatReadsALittleNowAndThenIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{}
		e := tcpWatch(srv)
		c := tcpPiped(t, srv)()
		s := tcpNext(t, e.opened)
		ended := tcpReadNowAndThen(c, time.Second)
		start := time.Now()
		require.ErrorIs(t, s.Send(make([]byte, 1000)), tcp.ErrSlow)
		require.Equal(t, 30*time.Second, time.Since(start))
		require.Equal(t, tcp.ReasonSlow, tcpNext(t, e.closed))
		<-ended
	})
}

// tcpReadNowAndThen reads up to two bytes each time until the connection is
// closed.
func tcpReadNowAndThen(c net.Conn, each time.Duration) (ended chan struct{}) {
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		for err := error(nil); err == nil; _, err = c.Read(make([]byte, 2)) {
			time.Sleep(each)
		}
	}()
	return ended
}

// A peer that has sent many frames at once and takes each reply just in time.
func TestASlowPeerHoldsUpShutdownUntilItsContextEnds(t *testing.T) {
	const frames, each = 20, 25 * time.Second
	for _, patience := range []time.Duration{10 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			srv := &tcp.Server{OnMessage: tcpEcho}
			e := tcpWatch(srv)
			c := tcpPiped(t, srv)()
			tcpNext(t, e.opened)
			tcpWrite(t, c, "x")
			tcpWrite(t, c, strings.Repeat("\n", frames)) // read at once, behind the x
			ended := tcpReadNowAndThen(c, each)
			synctest.Wait()
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := srv.Shutdown(ctx)
			if patience < each {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, patience, time.Since(start))
			} else {
				require.NoError(t, err)
				require.GreaterOrEqual(t, time.Since(start), (frames-1)*each, "WriteTimeout bounds each Send, not all of them")
			}
			require.Equal(t, pool.Shutdown, tcpNext(t, e.closed))
			<-ended
		})
	}
}

func TestASessionThatIsClosedMakesRoomThoughItsCallbackGoesOn(t *testing.T) {
	entered, gate := make(chan *tcp.Session), make(chan struct{})
	srv := &tcp.Server{MaxSessions: 1, OnMessage: func(s *tcp.Session, _ []byte) {
		entered <- s
		<-gate
	}}
	e := tcpWatch(srv)
	dial := tcpListen(t, srv)
	for range 3 {
		tcpWrite(t, dial(), "x\n")
		require.True(t, tcpNext(t, entered).Close("by hand"))
	}
	require.Empty(t, e.closed)
	require.Zero(t, srv.Stats().Sessions)
	close(gate)
	for range 3 {
		tcpNext(t, e.closed)
	}
}

// tcpGarbage is text of which no two letters in a row are in any message.
const tcpGarbage = "qzxjqvkqqzxj"

func TestTheLogHoldsNothingOfGarbage(t *testing.T) {
	server, client := tcpTLS(t)
	for _, tt := range []struct {
		name string
		srv  *tcp.Server
		send func(t *testing.T, c net.Conn)
		want error
	}{
		{"too large", &tcp.Server{MaxFrame: 20}, func(t *testing.T, c net.Conn) { tcpWrite(t, c, strings.Repeat(tcpGarbage, 3)) }, tcp.ErrTooLarge},
		{"no frame", &tcp.Server{Split: tcp.ScanFrames}, func(t *testing.T, c net.Conn) { tcpWrite(t, c, tcpGarbage) }, tcp.ErrBadFrame},
		{"a wrong marker", &tcp.Server{Split: tcp.ScanFrames}, func(t *testing.T, c net.Conn) { tcpWrite(t, c, "$"+tcpGarbage) }, tcp.ErrBadFrame},
		{"half a frame", &tcp.Server{FrameTimeout: 50 * time.Millisecond}, func(t *testing.T, c net.Conn) { tcpWrite(t, c, tcpGarbage) }, tcp.ErrFrameTimeout},
		{"a peer that resets", &tcp.Server{FrameTimeout: -1}, func(t *testing.T, c net.Conn) {
			tcpWrite(t, c, tcpGarbage)
			require.NoError(t, c.(*net.TCPConn).SetLinger(0))
			require.NoError(t, c.Close())
		}, tcp.ErrRead},
		{"no TLS", &tcp.Server{TLSConfig: server}, func(t *testing.T, c net.Conn) { tcpWrite(t, c, tcpGarbage) }, tcp.ErrHandshake},
		{"no record of TLS", &tcp.Server{TLSConfig: server}, func(t *testing.T, c net.Conn) {
			require.NoError(t, tls.Client(c, client).Handshake())
			tcpWrite(t, c, "\x17\x03\x03\x00\x0c"+tcpGarbage)
		}, tcp.ErrRead},
		{"a peer that does not read", &tcp.Server{WriteTimeout: 50 * time.Millisecond, OnMessage: func(s *tcp.Session, p []byte) {
			for s.Send(p) == nil {
				continue
			}
		}}, func(t *testing.T, c net.Conn) { tcpWrite(t, c, strings.Repeat(tcpGarbage, 1000)+"\n") }, tcp.ErrSlow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log tcpLogBuffer
			tt.srv.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			e := tcpWatch(tt.srv)
			tt.send(t, tcpListen(t, tt.srv)())
			require.ErrorIs(t, tcpNext(t, e.errors), tt.want)
			require.NoError(t, tt.srv.Shutdown(t.Context()))
			for i := range len(tcpGarbage) - 1 {
				require.NotContains(t, log.String(), tcpGarbage[i:i+2])
			}
			require.Contains(t, log.String(), "reason=")
			require.LessOrEqual(t, strings.Count(log.String(), "\n"), 3, "opened, fault, closed")
		})
	}
}

// What the documentation owns up to: a panic's value, the names of applications
// that crypto/tls was offered, and the reasons and Split errors of the caller's.
func TestWhatTheLogMayHoldOfAPeerIsEscaped(t *testing.T) {
	const forged = tcpGarbage + "\nlevel=ERROR msg=forged"
	server, client := tcpTLS(t)
	server.NextProtos = []string{"mine"}
	for name, srv := range map[string]*tcp.Server{
		"panic":  {OnMessage: func(*tcp.Session, []byte) { panic(forged) }},
		"reason": {OnMessage: func(s *tcp.Session, _ []byte) { s.Close(forged) }},
		"split":  {Split: func([]byte, bool) (int, []byte, error) { return 0, nil, fmt.Errorf("%s", forged) }},
		"TLS":    {TLSConfig: server},
	} {
		t.Run(name, func(t *testing.T) {
			var log tcpLogBuffer
			srv.Logger = slog.New(slog.NewTextHandler(&log, nil))
			tcpWatch(srv)
			c := tcpListen(t, srv)()
			if name == "TLS" {
				config := client.Clone()
				config.NextProtos = []string{forged}
				require.Error(t, tls.Client(c, config).Handshake())
			} else {
				tcpWrite(t, c, "x\n")
			}
			tcpGone(t, c)
			require.NoError(t, srv.Shutdown(t.Context()))
			require.Contains(t, log.String(), tcpGarbage)
			require.NotContains(t, log.String(), "\nlevel=ERROR msg=forged", "slog's handlers escape it")
		})
	}
}
