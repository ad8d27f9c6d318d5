package tcp_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// gatherMost is how much lies in a queue at most, as the contract has it.
const gatherMost = 16 << 10

// postEcho queues a line back.
func postEcho(s *tcp.Session, line []byte) { _ = s.Post(append(line, '\n')) }

// writesConn is not a plain socket, and reports the size of each write.
type writesConn struct {
	net.Conn
	writes chan int
}

func (c writesConn) Write(p []byte) (int, error) {
	c.writes <- len(p)
	return c.Conn.Write(p)
}

// writesListener accepts writesConns.
type writesListener struct {
	net.Listener
	writes chan int
}

func (l writesListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return writesConn{c, l.writes}, err
}

// overAll runs f over sockets, pipes and TLS.
func overAll(t *testing.T, f func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn)) {
	overBoth(t, f)
	t.Run("tls", func(t *testing.T) {
		f(t, func(t testing.TB, srv *tcp.Server) func() net.Conn {
			server, client := tlsConfigs(t)
			srv.TLSConfig = server
			dial := harness.ListenTCP(t, srv)
			return func() net.Conn { return tls.Client(dial(), client) }
		})
	})
}

// countWrites serves a connection whose writes are reported.
func countWrites(t *testing.T, srv *tcp.Server) (c net.Conn, writes chan int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	writes = make(chan int, 10_000)
	harness.ServeTCP(t, srv, writesListener{l, writes})
	c, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c, writes
}

// gate returns a callback that reports the first line and then waits for
// letGo.
func gate(then func(*tcp.Session, []byte)) (onMessage func(*tcp.Session, []byte), entered chan *tcp.Session, letGo func()) {
	entered = make(chan *tcp.Session, 1000)
	gate := make(chan struct{})
	onMessage = func(s *tcp.Session, line []byte) {
		if string(line) == "wait" {
			entered <- s
			<-gate
			return
		}
		then(s, line)
	}
	return onMessage, entered, sync.OnceFunc(func() { close(gate) })
}

func TestPost_SendsTheRepliesToAPipelineInOneWrite(t *testing.T) {
	for name, f := range map[string]struct {
		reply  func(*tcp.Session, []byte)
		writes int
	}{
		"Queue": {postEcho, 1},
		"Send":  {harness.EchoLine, 100},
	} {
		t.Run(name, func(t *testing.T) {
			onMessage, entered, letGo := gate(f.reply)
			srv := &tcp.Server{FlushInterval: time.Hour, OnMessage: onMessage}
			c, writes := countWrites(t, srv)
			harness.Write(t, c, "wait\n") // lines that are written during the wait are read together
			harness.Next(t, entered)
			harness.Write(t, c, strings.Repeat("x\n", 100))
			letGo()
			harness.Read(t, c, strings.Repeat("x\n", 100))
			n := 0
			for len(writes) > 0 {
				<-writes
				n++
			}
			// The read after the one that waited takes one byte, and then the rest.
			require.LessOrEqual(t, n, f.writes+1)
			require.GreaterOrEqual(t, n, f.writes)
		})
	}
}

func TestPost_KeepsItsOrderWithSends(t *testing.T) {
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		sent := make(chan error, 1)
		srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) {
			switch string(line) {
			case "queue":
				_ = s.Post([]byte("q"))
			case "send":
				_ = s.Send([]byte("s"))
			case "large":
				_ = s.Send(bytes.Repeat([]byte("l"), 3*gatherMost))
			case "elsewhere":
				go func() { sent <- s.Send([]byte("e")) }()
				require.NoError(t, harness.Next(t, sent))
			case "end":
				_ = s.Post([]byte("\n"))
			}
		}}
		c := listen(t, srv)()
		go io.WriteString(c, "queue\nsend\nqueue\nqueue\nelsewhere\nqueue\nlarge\nqueue\nend\n") //nolint:errcheck // what is read tells
		harness.Read(t, c, "qsqqeq"+strings.Repeat("l", 3*gatherMost)+"q\n")
	})
}

func TestPost_IsGatheredUpToABound(t *testing.T) {
	onMessage, entered, letGo := gate(nil)
	blocked := func(s *tcp.Session, line []byte) {
		if string(line) == "fill" {
			for range 5 * gatherMost / 100 {
				_ = s.Post(bytes.Repeat([]byte("."), 100))
			}
			_ = s.Post(bytes.Repeat([]byte("L"), 2*gatherMost))
			line = []byte("wait")
		}
		onMessage(s, line)
	}
	c, writes := countWrites(t, &tcp.Server{OnMessage: blocked})
	t.Cleanup(letGo)
	harness.Write(t, c, "fill\n")
	harness.Next(t, entered) // what has been gathered by now is sent before the callback returns
	harness.Read(t, c, strings.Repeat(".", 5*gatherMost/100*100)+strings.Repeat("L", 2*gatherMost))
	total, n := 0, 0
	for len(writes) > 0 {
		w := <-writes
		total += w
		n++
		require.True(t, w <= gatherMost || w == 2*gatherMost, "%d bytes in one write", w)
	}
	require.Equal(t, 5*gatherMost/100*100+2*gatherMost, total, "what is larger than a queue takes what is queued with it")
	require.Less(t, n, 9)
}

func TestPost_KeepsNoBytesOfItsCaller(t *testing.T) {
	p := make([]byte, 1)
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) {
		p[0] = line[0]
		_ = s.Post(p)
		p[0] = '!'
	}}
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "a\nb\nc\n")
	harness.Read(t, c, "abc")
}

func TestPost_TakesAGreeting(t *testing.T) {
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{OnNewSessionRegister: func(s *tcp.Session) { _ = s.Post([]byte("hello\n")) }}
		harness.Read(t, listen(t, srv)(), "hello\n")
	})
}

func TestSend_OfNothingSendsWhatIsQueued(t *testing.T) {
	onMessage, entered, letGo := gate(nil)
	c := harness.ListenTCP(t, &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) {
		_ = s.Post([]byte("progress\n"))
		_ = s.Post(nil)
		_ = s.Send(nil)
		onMessage(s, line)
	}})()
	t.Cleanup(letGo)
	harness.Write(t, c, "wait\n")
	harness.Read(t, c, "progress\n")
	harness.Next(t, entered)
}

func TestSend_TakesWhatIsQueuedWithItInOneWrite(t *testing.T) {
	c, writes := countWrites(t, &tcp.Server{FlushInterval: time.Hour, OnMessage: func(s *tcp.Session, _ []byte) {
		_ = s.Post([]byte("a"))
		_ = s.Post([]byte("b"))
		_ = s.Send([]byte("c"))
	}})
	harness.Write(t, c, "x\n")
	harness.Read(t, c, "abc")
	require.Equal(t, 3, harness.Next(t, writes))
	require.Empty(t, writes)
}

func TestPost_CountsAsActivityWhenItIsSent(t *testing.T) {
	const idle = 10 * time.Second
	for activity, want := range map[tcp.Activity]time.Duration{
		tcp.ReceivedOrSent: 26 * time.Second, tcp.Received: 26 * time.Second, tcp.Sent: 18 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := &tcp.Server{IdleTimeout: idle, Activity: activity, OnMessage: func(s *tcp.Session, line []byte) {
				if string(line) == "reply" {
					postEcho(s, line)
				}
			}}
			e := watch(srv)
			c := harness.ListenPipes(t, srv)()
			go io.Copy(io.Discard, c) //nolint:errcheck // ends when the session is closed
			start := time.Now()
			harness.Next(t, e.opened)
			time.Sleep(8 * time.Second)
			harness.Write(t, c, "reply\n")
			time.Sleep(8 * time.Second)
			harness.Write(t, c, "no reply\n")
			require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
			require.GreaterOrEqual(t, time.Since(start), want)
			require.Less(t, time.Since(start), want+time.Second)
		})
	}
}

func TestPost_DoesNotInterleaveWithSends(t *testing.T) {
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		const senders, each = 4, 200
		srv := &tcp.Server{Split: tcp.ScanFrames, OnMessage: func(s *tcp.Session, p []byte) {
			frame, err := tcp.AppendFrame(nil, bytes.Repeat([]byte("q"), len(p)*97%3000))
			require.NoError(t, err)
			_ = s.Post(frame)
		}}
		e := watch(srv)
		c := listen(t, srv)()
		var all sync.WaitGroup
		all.Go(func() {
			for i := range each {
				frame, err := tcp.AppendFrame(nil, make([]byte, i))
				if err == nil {
					_, err = c.Write(frame)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		all.Go(func() {
			s := <-e.opened
			var sends sync.WaitGroup
			for i := range senders {
				sends.Go(func() {
					for j := range each {
						frame, err := tcp.AppendFrame(nil, bytes.Repeat([]byte{byte('a' + i)}, j*10))
						if err == nil {
							err = s.Send(frame)
						}
						if err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			sends.Wait()
		})
		frames := bufio.NewScanner(c)
		frames.Split(tcp.ScanFrames)
		n, queued := 0, 0
		for ; n < (senders+1)*each && frames.Scan(); n++ {
			body := string(frames.Bytes())
			require.Empty(t, strings.Trim(body, body[:min(1, len(body))]), "one frame within another")
			if strings.HasPrefix(body, "q") {
				for queued*97%3000 == 0 {
					queued++ // an empty reply does not show whose it is
				}
				require.Len(t, body, queued*97%3000, "replies keep their order")
				queued++
			}
		}
		require.NoError(t, frames.Err())
		require.Equal(t, (senders+1)*each, n)
		all.Wait()
	})
}

func TestPost_TakesNoMemoryWhileTheSessionWaits(t *testing.T) {
	const n = 400
	srv := &tcp.Server{OnMessage: postEcho}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = dial()
		harness.Next(t, e.opened)
	}
	heap := func() int64 {
		var m runtime.MemStats
		for range 3 { // sync.Pools are empty after two
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for _, c := range conns {
		harness.Write(t, c, "a\nb\n")
	}
	for _, c := range conns {
		harness.Read(t, c, "a\nb\n")
	}
	require.Less(t, (heap()-before)/n, int64(gatherMost/8), "bytes of each session")
	runtime.KeepAlive(conns)
}

func TestPost_AllocatesNothingAndNeitherDoesSend(t *testing.T) {
	var queue, send float64
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) {
		_ = s.Post([]byte("warm")) // takes the buffer
		queue = testing.AllocsPerRun(1000, func() { _ = s.Post(line) })
		_ = s.Send(line)
		send = testing.AllocsPerRun(1000, func() { _ = s.Send(line) })
		s.Close("measured")
	}}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "x\n")
	harness.Next(t, e.closed)
	require.Zero(t, queue)
	require.Zero(t, send)
}
