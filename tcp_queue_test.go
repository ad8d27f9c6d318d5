package sessionwheel_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
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
	"github.com/sessionwheel/sessionwheel/wheel"
)

// queueMost is how much lies in a queue at most, as the contract has it.
const queueMost = 16 << 10

// queueEcho queues a line back.
func queueEcho(s *tcp.Session, line []byte) { _ = s.Queue(append(line, '\n')) }

// queueConn is a connection that is no plain socket and notes how much each
// write has.
type queueConn struct {
	net.Conn
	writes chan int
}

func (c queueConn) Write(p []byte) (int, error) {
	c.writes <- len(p)
	return c.Conn.Write(p)
}

// queueListener gives out queueConns.
type queueListener struct {
	net.Listener
	writes chan int
}

func (l queueListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return queueConn{c, l.writes}, err
}

// queueOverAll runs f over sockets, pipes and TLS.
func queueOverAll(t *testing.T, f func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn)) {
	tcpOverBoth(t, f)
	t.Run("tls", func(t *testing.T) {
		f(t, func(t testing.TB, srv *tcp.Server) func() net.Conn {
			server, client := tcpTLS(t)
			srv.TLSConfig = server
			dial := tcpListen(t, srv)
			return func() net.Conn { return tls.Client(dial(), client) }
		})
	})
}

// queueWrites serves connections whose writes are counted.
func queueWrites(t *testing.T, srv *tcp.Server) (c net.Conn, writes chan int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	writes = make(chan int, 10_000)
	tcpServe(t, srv, queueListener{l, writes})
	c, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c, writes
}

// queueGate is a callback that says that it was entered and waits to be let go,
// for the first line.
func queueGate(then func(*tcp.Session, []byte)) (onMessage func(*tcp.Session, []byte), entered chan *tcp.Session, letGo func()) {
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

func TestRepliesThatAreQueuedGoOutInOneWrite(t *testing.T) {
	for name, f := range map[string]struct {
		reply  func(*tcp.Session, []byte)
		writes int
	}{
		"Queue": {queueEcho, 1},
		"Send":  {tcpEcho, 100},
	} {
		t.Run(name, func(t *testing.T) {
			onMessage, entered, letGo := queueGate(f.reply)
			srv := &tcp.Server{OnMessage: onMessage}
			c, writes := queueWrites(t, srv)
			tcpWrite(t, c, "wait\n") // what is written meanwhile is read together
			tcpNext(t, entered)
			tcpWrite(t, c, strings.Repeat("x\n", 100))
			letGo()
			tcpRead(t, c, strings.Repeat("x\n", 100))
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

func TestQueuedRepliesKeepTheirOrderWithSends(t *testing.T) {
	queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		sent := make(chan error, 1)
		srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) {
			switch string(line) {
			case "queue":
				_ = s.Queue([]byte("q"))
			case "send":
				_ = s.Send([]byte("s"))
			case "large":
				_ = s.Send(bytes.Repeat([]byte("l"), 3*queueMost))
			case "elsewhere":
				go func() { sent <- s.Send([]byte("e")) }()
				require.NoError(t, tcpNext(t, sent))
			case "end":
				_ = s.Queue([]byte("\n"))
			}
		}}
		c := listen(t, srv)()
		go io.WriteString(c, "queue\nsend\nqueue\nqueue\nelsewhere\nqueue\nlarge\nqueue\nend\n") //nolint:errcheck // what is read tells
		tcpRead(t, c, "qsqqeq"+strings.Repeat("l", 3*queueMost)+"q\n")
	})
}

func TestAQueueHoldsNoMoreThanItsBound(t *testing.T) {
	onMessage, entered, letGo := queueGate(nil)
	blocked := func(s *tcp.Session, line []byte) {
		if string(line) == "fill" {
			for range 5 * queueMost / 100 {
				_ = s.Queue(bytes.Repeat([]byte("."), 100))
			}
			_ = s.Queue(bytes.Repeat([]byte("L"), 2*queueMost))
			line = []byte("wait")
		}
		onMessage(s, line)
	}
	c, writes := queueWrites(t, &tcp.Server{OnMessage: blocked})
	t.Cleanup(letGo)
	tcpWrite(t, c, "fill\n")
	tcpNext(t, entered) // in the callback, with nothing but what fits in the queue not sent
	total, n := 0, 0
	for len(writes) > 0 {
		w := <-writes
		total += w
		n++
		require.True(t, w <= queueMost || w == 2*queueMost, "%d bytes in one write", w)
	}
	require.Equal(t, 5*queueMost/100*100+2*queueMost, total, "what is larger than a queue takes what is queued with it")
	require.Less(t, n, 9)
}

func TestTheOwnerMayUseItsBytesAgainWhenQueueReturns(t *testing.T) {
	p := make([]byte, 1)
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) {
		p[0] = line[0]
		_ = s.Queue(p)
		p[0] = '!'
	}}
	c := tcpListen(t, srv)()
	tcpWrite(t, c, "a\nb\nc\n")
	tcpRead(t, c, "abc")
}

func TestWhatIsQueuedIsSentBeforeTheSessionEnds(t *testing.T) {
	const queued = "a\nb\n"
	for name, tt := range map[string]struct {
		input  string
		reason pool.Reason
	}{
		"closed in its callback": {"a\nb\nclose\n", "bye"},
		"a panic":                {"a\nb\npanic\n", tcp.ReasonPanic},
		"a frame too large":      {"a\nb\n" + strings.Repeat("x", 200), tcp.ReasonTooLarge},
		"a bad frame":            {"a\nb\nbad\n", tcp.ReasonBadFrame},
		"the end of the stream":  {"a\nb\n", tcp.ReasonEOF},
		"the last token":         {"a\nb\nfinal\n", tcp.ReasonEOF},
	} {
		t.Run(name, func(t *testing.T) {
			queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
				srv := &tcp.Server{
					MaxFrame: 100,
					Split: func(data []byte, atEOF bool) (int, []byte, error) {
						n, line, err := bufio.ScanLines(data, atEOF)
						switch string(line) {
						case "bad":
							err = io.ErrNoProgress
						case "final":
							err, line = bufio.ErrFinalToken, nil
						}
						return n, line, err
					},
					OnMessage: func(s *tcp.Session, line []byte) {
						switch string(line) {
						case "close":
							require.True(t, s.Close("bye"))
							require.ErrorIs(t, s.Queue([]byte("x")), tcp.ErrSessionClosed)
						case "panic":
							panic("trip")
						default:
							queueEcho(s, line)
						}
					},
				}
				e := tcpWatch(srv)
				c := listen(t, srv)()
				go func() {
					_, _ = io.WriteString(c, tt.input)
					if cw, ok := c.(interface{ CloseWrite() error }); ok && name == "the end of the stream" {
						_ = cw.CloseWrite()
					}
				}()
				tcpRead(t, c, queued)
				if _, socket := c.LocalAddr().(*net.TCPAddr); !socket {
					_ = c.Close() // a pipe cannot end one direction alone
				}
				tcpGone(t, c)
				require.Equal(t, tt.reason, tcpNext(t, e.closed))
			})
		})
	}
}

func TestShutdownSendsWhatTheLastFramesQueued(t *testing.T) {
	queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		onMessage, entered, letGo := queueGate(queueEcho)
		srv := &tcp.Server{OnMessage: onMessage}
		e := tcpWatch(srv)
		c := listen(t, srv)()
		go io.WriteString(c, "a\nwait\nb\n") //nolint:errcheck // what is read tells
		t.Cleanup(letGo)
		tcpNext(t, entered)
		down := tcpShutdown(t.Context(), srv)
		require.Empty(t, down)
		letGo()
		rest, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "a\nb\n", string(rest))
		require.NoError(t, tcpNext(t, down))
		require.Equal(t, pool.Shutdown, tcpNext(t, e.closed))
	})
}

func TestAGreetingMayBeQueued(t *testing.T) {
	queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{OnNewSessionRegister: func(s *tcp.Session) { _ = s.Queue([]byte("hello\n")) }}
		tcpRead(t, listen(t, srv)(), "hello\n")
	})
}

func TestAnEmptySendSendsWhatIsQueued(t *testing.T) {
	onMessage, entered, letGo := queueGate(nil)
	c := tcpListen(t, &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) {
		_ = s.Queue([]byte("progress\n"))
		_ = s.Queue(nil)
		_ = s.Send(nil)
		onMessage(s, line)
	}})()
	t.Cleanup(letGo)
	tcpWrite(t, c, "wait\n")
	tcpRead(t, c, "progress\n")
	tcpNext(t, entered)
}

func TestAPeerThatDoesNotReadItsQueuedRepliesIsSlow(t *testing.T) {
	for name, reply := range map[string][]byte{
		"many": bytes.Repeat([]byte("x"), 1000), "large": bytes.Repeat([]byte("x"), 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
				var failure error
				srv := &tcp.Server{WriteTimeout: 100 * time.Millisecond, OnMessage: func(s *tcp.Session, _ []byte) {
					for failure == nil {
						failure = s.Queue(reply)
					}
				}}
				e := tcpWatch(srv)
				tcpWrite(t, listen(t, srv)(), "flood me\n")
				require.Equal(t, tcp.ReasonSlow, tcpNext(t, e.closed))
				require.ErrorIs(t, failure, tcp.ErrSlow)
				require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrSlow)
			})
		})
	}
}

// The write that fails is the one after the callback, where nobody gets an error
// but OnError.
func TestAFailureToSendWhatIsQueuedIsTold(t *testing.T) {
	srv := &tcp.Server{WriteTimeout: 50 * time.Millisecond, OnMessage: queueEcho}
	e := tcpWatch(srv)
	tcpWrite(t, tcpPiped(t, srv)(), "nobody reads this\n")
	require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrSlow)
	require.Equal(t, tcp.ReasonSlow, tcpNext(t, e.closed))
}

func TestClosingASessionWithAQueueDoesNotWaitForItsPeer(t *testing.T) {
	queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		entered := make(chan *tcp.Session, 1)
		gate := make(chan struct{})
		srv := &tcp.Server{WriteTimeout: -1, OnMessage: func(s *tcp.Session, _ []byte) {
			_ = s.Queue([]byte("never read"))
			entered <- s
			<-gate
		}}
		e := tcpWatch(srv)
		c := listen(t, srv)()
		tcpWrite(t, c, "x\n")
		s := tcpNext(t, entered)
		require.True(t, s.Close("by hand"), "from another goroutine")
		close(gate)
		require.Equal(t, pool.Reason("by hand"), tcpNext(t, e.closed))
	})
}

func TestASendTakesWhatIsQueuedWithItInOneWrite(t *testing.T) {
	c, writes := queueWrites(t, &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
		_ = s.Queue([]byte("a"))
		_ = s.Queue([]byte("b"))
		_ = s.Send([]byte("c"))
	}})
	tcpWrite(t, c, "x\n")
	tcpRead(t, c, "abc")
	require.Equal(t, 3, tcpNext(t, writes))
	require.Empty(t, writes)
}

// The peer takes its replies later than it would be closed for being idle, and
// later than Close would wait.
func TestASessionWaitsForItsQueueToBeSentBeforeItIsIdleOrDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		srv := &tcp.Server{IdleTimeout: 10 * time.Second, OnMessage: func(s *tcp.Session, line []byte) {
			queueEcho(s, line)
			if string(line) == "last" {
				<-gate
			}
		}}
		e := tcpWatch(srv)
		c := tcpPiped(t, srv)()
		for range 2 {
			tcpWrite(t, c, "reply\n")
			time.Sleep(15 * time.Second)
			tcpRead(t, c, "reply\n")
			time.Sleep(9 * time.Second)
			require.Empty(t, e.closed, "a whole idle timeout follows")
		}
		tcpWrite(t, c, "last\n")
		down := tcpShutdown(t.Context(), srv)
		time.Sleep(time.Second) // Shutdown finds it in its callback
		close(gate)
		time.Sleep(15 * time.Second)
		require.Empty(t, down)
		tcpRead(t, c, "last\n")
		require.NoError(t, tcpNext(t, down))
		require.Equal(t, pool.Shutdown, tcpNext(t, e.closed))
	})
}

func TestReasonsWithoutAFarewellDropWhatIsQueued(t *testing.T) {
	for reason, sent := range map[pool.Reason]bool{pool.Timeout: false, tcp.ReasonError: false, pool.Shutdown: true} {
		srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) {
			queueEcho(s, line)
			s.Close(reason)
		}}
		c := tcpListen(t, srv)()
		tcpWrite(t, c, "x\n")
		rest, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, sent, string(rest) == "x\n", "%s: %q", reason, rest)
	}
}

func TestQueueOnASessionThatIsClosedIsErrSessionClosed(t *testing.T) {
	var late error
	srv := &tcp.Server{}
	e := tcpWatch(srv)
	closed := srv.OnSessionClosed
	srv.OnSessionClosed = func(s *tcp.Session, r pool.Reason) {
		late = s.Queue([]byte("x"))
		closed(s, r)
	}
	tcpListen(t, srv)()
	s := tcpNext(t, e.opened)
	require.True(t, s.Close("enough"))
	require.Equal(t, pool.Reason("enough"), tcpNext(t, e.closed))
	require.ErrorIs(t, late, tcp.ErrSessionClosed)
	require.ErrorIs(t, s.Queue(nil), tcp.ErrSessionClosed)
	require.Empty(t, e.errors)
}

func TestWhatIsQueuedCountsAsActivityWhenItIsSent(t *testing.T) {
	const idle = 10 * time.Second
	for activity, want := range map[tcp.Activity]time.Duration{
		tcp.ReceivedOrSent: 26 * time.Second, tcp.Received: 26 * time.Second, tcp.Sent: 18 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := &tcp.Server{IdleTimeout: idle, Activity: activity, OnMessage: func(s *tcp.Session, line []byte) {
				if string(line) == "reply" {
					queueEcho(s, line)
				}
			}}
			e := tcpWatch(srv)
			c := tcpPiped(t, srv)()
			go io.Copy(io.Discard, c) //nolint:errcheck // ends when the session is closed
			start := time.Now()
			tcpNext(t, e.opened)
			time.Sleep(8 * time.Second)
			tcpWrite(t, c, "reply\n")
			time.Sleep(8 * time.Second)
			tcpWrite(t, c, "no reply\n")
			require.Equal(t, pool.Timeout, tcpNext(t, e.closed))
			require.GreaterOrEqual(t, time.Since(start), want)
			require.Less(t, time.Since(start), want+time.Second)
		})
	}
}

func TestQueuedRepliesDoNotInterleaveWithSends(t *testing.T) {
	queueOverAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		const senders, each = 4, 200
		srv := &tcp.Server{Split: tcp.ScanFrames, OnMessage: func(s *tcp.Session, p []byte) {
			frame, err := tcp.AppendFrame(nil, bytes.Repeat([]byte("q"), len(p)*97%3000))
			require.NoError(t, err)
			_ = s.Queue(frame)
		}}
		e := tcpWatch(srv)
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
					queued++ // an empty reply tells nobody whose it is
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

func TestASessionThatWaitsKeepsNoQueue(t *testing.T) {
	const n = 400
	srv := &tcp.Server{OnMessage: queueEcho}
	e := tcpWatch(srv)
	dial := tcpListen(t, srv)
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = dial()
		tcpNext(t, e.opened)
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
		tcpWrite(t, c, "a\nb\n")
	}
	for _, c := range conns {
		tcpRead(t, c, "a\nb\n")
	}
	require.Less(t, (heap()-before)/n, int64(queueMost/8), "bytes of each session")
	runtime.KeepAlive(conns)
}

func TestQueueingAllocatesNothingAndSoDoesSending(t *testing.T) {
	var queue, send float64
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) {
		_ = s.Queue([]byte("warm")) // takes the buffer
		queue = testing.AllocsPerRun(100, func() { _ = s.Queue(line) })
		_ = s.Send(line)
		send = testing.AllocsPerRun(100, func() { _ = s.Send(line) })
		s.Close("measured")
	}}
	e := tcpWatch(srv)
	c := tcpListen(t, srv)()
	tcpWrite(t, c, "x\n")
	tcpNext(t, e.closed)
	require.Zero(t, queue)
	require.Zero(t, send)
}

func TestServersMayShareAWheelWithTimersOfTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := wheel.New(wheel.Config{})
		require.NoError(t, err)
		defer w.Close()
		var servers [2]*tcp.Server
		for i := range servers {
			servers[i] = &tcp.Server{Wheel: w, IdleTimeout: time.Duration(i+1) * time.Minute}
			e := tcpWatch(servers[i])
			tcpPiped(t, servers[i])()
			tcpNext(t, e.opened)
		}
		fired := make(chan struct{}, 1)
		w.AfterFunc(time.Hour, func() { fired <- struct{}{} })
		require.Equal(t, 3, w.Len(), "one timer of each session, and the caller's")
		time.Sleep(61 * time.Second)
		require.Equal(t, 2, w.Len(), "a session has timed out")
		require.EqualValues(t, 1, servers[0].Stats().ByReason[pool.Timeout])
		for _, srv := range servers {
			require.NoError(t, srv.Shutdown(t.Context()))
		}
		require.Equal(t, 1, w.Len())
		time.Sleep(time.Hour)
		tcpNext(t, fired) // the servers have not closed it
	})
}

// BenchmarkPipeline sends batches of 16 lines over 8 connections, on each the
// next when the last has come back.
func BenchmarkPipeline(b *testing.B) {
	const lines = 16
	batch := strings.Repeat("x", 31) + "\n"
	batch = strings.Repeat(batch, lines)
	for name, reply := range map[string]func(*tcp.Session, []byte){"Queue": queueEcho, "Send": tcpEcho} {
		b.Run(fmt.Sprintf("reply=%s", name), func(b *testing.B) {
			dial := tcpListen(b, &tcp.Server{OnMessage: reply})
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
