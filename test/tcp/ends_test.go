package tcp_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func goexit() { runtime.Goexit() }

func splitLine(data []byte, atEOF bool) (int, []byte, error) { return bufio.ScanLines(data, atEOF) }

// ends are the ways in which a session of ours comes to its last bytes.
var ends = map[string]func(srv *tcp.Server, s *tcp.Session){
	"Finish":    func(_ *tcp.Server, s *tcp.Session) { s.Finish("Finished") },
	"Timeout":   func(_ *tcp.Server, s *tcp.Session) { s.SetIdleTimeout(time.Nanosecond) },
	"Replaced":  nil, // by the test
	"Close":     func(_ *tcp.Server, s *tcp.Session) { s.Close("Kicked") },
	"Shutdown":  func(_ *tcp.Server, s *tcp.Session) { s.Close(pool.Shutdown) }, // as Shutdown does
	"TooLarge":  nil,                                                            // by the peer
	"LastToken": nil,                                                            // likewise
}

// splitLast is bufio.ScanLines, for which "final" is the last token.
func splitLast(data []byte, atEOF bool) (int, []byte, error) {
	n, line, err := bufio.ScanLines(data, atEOF)
	if string(line) == "final" {
		err = bufio.ErrFinalToken
	}
	return n, line, err
}

// endOf ends a session in one of the ways. One that is to be Replaced is bound to its ID before.
// The last bytes of any are last.
func endOf(t *testing.T, name string, srv *tcp.Server, s *tcp.Session, c net.Conn, opened chan *tcp.Session, dial func() net.Conn) {
	switch name {
	case "Replaced":
		other := dial()
		next := harness.Next(t, opened)
		require.NoError(t, next.Bind(t.Context(), fmt.Sprint(s.ID()), nil))
		_ = other.Close()
	case "TooLarge":
		_, _ = io.WriteString(c, strings.Repeat("x", 2000))
	case "LastToken":
		_, _ = io.WriteString(c, "\nfinal\n")
	default:
		ends[name](srv, s)
	}
}

// endsOfEachKind is how many sessions are ended in each way: a few, or a thousand by hand.
var endsOfEachKind = flag.Int("ends", 10, "how many sessions the tests of ends end in each way")

// Every farewell arrives whole, although the peer keeps sending.
func TestEnds_ArriveAtAPeerThatKeepsSending(t *testing.T) {
	t.Parallel() // beside tests that wait for timeouts
	last := bytes.Repeat([]byte("l"), 20_000)
	for name := range ends {
		for _, encrypted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/tls=%v", name, encrypted), func(t *testing.T) {
				opened := make(chan *tcp.Session, 10)
				srv := &tcp.Server{
					MaxFrame:             1000,
					LingerTimeout:        20 * time.Second, // the machine may be slow
					OnNewSessionRegister: func(s *tcp.Session) { opened <- s },
					Split:                splitLast,
					OnMessage: func(s *tcp.Session, line []byte) {
						if string(line) == "final" {
							_ = s.Post(last)
						}
					},
					Farewell: func(*tcp.Session, pool.Reason) []byte { return last },
				}
				var client *tls.Config
				if encrypted {
					srv.TLSConfig, client = tlsConfigs(t)
				}
				connect := harness.ListenTCP(t, srv)
				dial := func() net.Conn {
					c := connect()
					if encrypted {
						tc := tls.Client(c, client)
						require.NoError(t, tc.Handshake())
						return tc
					}
					return c
				}
				for range *endsOfEachKind {
					c := dial()
					s := harness.Next(t, opened)
					if name == "Replaced" {
						require.NoError(t, s.Bind(t.Context(), fmt.Sprint(s.ID()), nil))
					}
					var sender sync.WaitGroup
					var stop atomic.Bool
					sender.Go(func() {
						for !stop.Load() {
							if _, err := io.WriteString(c, strings.Repeat("keep sending\n", 50)); err != nil {
								return
							}
						}
					})
					if name == "Finish" {
						_ = s.Post(last)
					}
					endOf(t, name, srv, s, c, opened, dial)
					require.NoError(t, c.SetReadDeadline(time.Now().Add(harness.Patience)))
					got := make([]byte, len(last))
					_, err := io.ReadFull(c, got)
					require.NoError(t, err)
					require.Equal(t, string(last), string(got))
					_, err = c.Read(got)
					require.ErrorIs(t, err, io.EOF, "it is told, and not reset")
					stop.Store(true)
					_ = c.Close()
					sender.Wait()
				}
			})
		}
	}
}

// Each end is over within LingerTimeout, and the kernel has nothing left of it.
func TestEnds_LeaveNothingOfAPeerThatNeverReads(t *testing.T) {
	t.Parallel() // it waits for LingerTimeout
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc/net/tcp")
	}
	const linger = 300 * time.Millisecond
	for _, full := range []bool{false, true} {
		for name := range ends {
			t.Run(fmt.Sprintf("%s/full=%v", name, full), func(t *testing.T) {
				t.Parallel() // it waits for LingerTimeout
				opened := make(chan *tcp.Session, 100)
				closed := make(chan pool.Reason, 100)
				srv := &tcp.Server{
					MaxFrame: 1000, LingerTimeout: linger, WriteTimeout: linger,
					MaxOutbound:          64 << 20,
					Split:                splitLast,
					OnNewSessionRegister: func(s *tcp.Session) { opened <- s },
					OnSessionClosed:      func(_ *tcp.Session, r pool.Reason) { closed <- r },
					Farewell:             func(*tcp.Session, pool.Reason) []byte { return make([]byte, 1000) },
				}
				l, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				harness.ServeTCP(t, srv, l)
				port := l.Addr().(*net.TCPAddr).Port
				dial := func() net.Conn {
					c, err := net.Dial("tcp", l.Addr().String())
					require.NoError(t, err)
					require.NoError(t, c.(*net.TCPConn).SetReadBuffer(64<<10))
					t.Cleanup(func() { _ = c.Close() })
					return c
				}
				peers := *endsOfEachKind / 2
				for range peers {
					c := dial()
					s := harness.Next(t, opened)
					if name == "Replaced" { // before WriteTimeout begins
						require.NoError(t, s.Bind(t.Context(), fmt.Sprint(s.ID()), nil))
					}
					if full { // more than the sockets take
						require.NoError(t, s.Post(make([]byte, 6<<20)))
					}
					endOf(t, name, srv, s, c, opened, dial)
				}
				for range peers {
					harness.Next(t, closed)
				}
				require.Eventually(t, func() bool { return len(socketsOf(t, port)) == 0 }, harness.Patience, 20*time.Millisecond)
			})
		}
	}
}

// socketsOf returns the states of the kernel's connections of a local port, other than
// listening ones.
func socketsOf(t *testing.T, port int) (states []string) {
	all, err := os.ReadFile("/proc/net/tcp")
	require.NoError(t, err)
	local := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(string(all)) {
		if !strings.Contains(line, local) {
			continue // most are of other programs
		}
		f := strings.Fields(line)
		if len(f) > 3 && strings.HasSuffix(f[1], local) && f[3] != "0A" && f[3] != "06" { // LISTEN, TIME_WAIT
			states = append(states, f[3])
		}
	}
	return states
}

func TestEnds_ASlowPeerIsReset(t *testing.T) {
	t.Parallel() // it waits for WriteTimeout
	srv := &tcp.Server{WriteTimeout: 100 * time.Millisecond, MaxOutbound: 64 << 20}
	e := watch(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	harness.ServeTCP(t, srv, l)
	for range 20 {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.(*net.TCPConn).SetReadBuffer(64<<10))
		require.NoError(t, harness.Next(t, e.opened).Post(make([]byte, 6<<20)))
	}
	for range 20 {
		require.Equal(t, tcp.ReasonSlow, harness.Next(t, e.closed))
	}
	if runtime.GOOS == "linux" {
		require.Empty(t, socketsOf(t, l.Addr().(*net.TCPAddr).Port), "closed is closed")
	}
}

// A pipelined QUIT: the peer sends more than the server reads, and has a small receive buffer.
func TestFinish_SendsTheLastReplyAlthoughInputIsUnread(t *testing.T) {
	t.Parallel() // it waits for a small window
	for _, final := range []bool{false, true} {
		for size, window := range map[int]int{64 << 10: 4 << 10, 1 << 20: 64 << 10} {
			reply := bytes.Repeat([]byte("r"), size)
			const linger = 20 * time.Second // the machine may be slow
			srv := &tcp.Server{LingerTimeout: linger, OnMessage: func(s *tcp.Session, line []byte) {
				if final {
					require.NoError(t, s.Send(reply))
					return
				}
				require.NoError(t, s.Post(reply))
				s.Finish("Quit")
			}}
			if final {
				srv.Split = splitLast
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			harness.ServeTCP(t, srv, l)
			c, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			require.NoError(t, c.(*net.TCPConn).SetReadBuffer(window))
			harness.Write(t, c, "final\n"+strings.Repeat("p", 20_000))
			time.Sleep(20 * time.Millisecond) // the reply fills the buffers
			got, err := io.ReadAll(c)
			require.NoError(t, err, "final=%v: %d of %d bytes", final, len(got), size)
			require.Len(t, got, size)
			require.NoError(t, c.Close())
		}
	}
}

func TestFinish_OfAnotherGoroutineEndsASessionThatWaits(t *testing.T) {
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{LingerTimeout: harness.Patience}
		e := watch(srv)
		c := listen(t, srv)()
		if tc, ok := c.(*tls.Conn); ok {
			require.NoError(t, tc.Handshake())
		}
		s := harness.Next(t, e.opened)
		require.NoError(t, s.Post([]byte("last\n")))
		s.Finish("Done")
		require.ErrorIs(t, s.Post([]byte("x")), tcp.ErrSessionClosed)
		require.ErrorIs(t, s.Send([]byte("x")), tcp.ErrSessionClosed)
		require.Equal(t, pool.Reason("Done"), harness.Next(t, e.closed))
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "last\n", string(got))
	})
}

// A Send that waits for its peer returns at once when the session is closed.
func TestClose_EndsASendThatWaits(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		for i, how := range []string{"Close", "Finish", "Close", "Finish"} {
			srv := &tcp.Server{WriteTimeout: -1, MaxOutbound: []int{0, 64 << 20}[i/2], LingerTimeout: time.Minute, Farewell: farewell}
			e := watch(srv)
			c := listen(t, srv)()
			if tc, ok := c.(*tls.Conn); ok {
				require.NoError(t, tc.Handshake())
			}
			s := harness.Next(t, e.opened)
			sent := make(chan error, 2)
			for range 2 { // one writes, and one waits for it
				go func() { sent <- s.Send(make([]byte, 16<<20)) }()
			}
			require.Eventually(t, func() bool { return srv.Traffic().BytesOut > 0 || len(sent) > 0 }, harness.Patience, time.Millisecond)
			if how == "Close" {
				require.True(t, s.Close("Kicked"))
			} else {
				s.Finish("Finished")
			}
			for range 2 {
				require.ErrorIs(t, harness.Next(t, sent), tcp.ErrSessionClosed)
			}
			harness.Next(t, e.closed)
			_ = c.Close()
		}
	})
}

// What a Send has begun is sent to its end, so that the farewell is no part of it.
func TestClose_TheRestOfASendComesBeforeTheFarewell(t *testing.T) {
	t.Parallel() // it waits for a small window
	for _, encrypted := range []bool{false, true} {
		srv := &tcp.Server{MaxOutbound: 64 << 20, LingerTimeout: 20 * time.Second, Farewell: farewell}
		var client *tls.Config
		if encrypted {
			srv.TLSConfig, client = tlsConfigs(t)
		}
		e := watch(srv)
		c := harness.ListenTCP(t, srv)()
		require.NoError(t, c.(*net.TCPConn).SetReadBuffer(64<<10))
		if encrypted {
			tc := tls.Client(c, client)
			require.NoError(t, tc.Handshake())
			c = tc
		}
		s := harness.Next(t, e.opened)
		sent := make(chan error, 1)
		const size = 8 << 20
		go func() { sent <- s.Send(make([]byte, size)) }()
		require.Eventually(t, func() bool { return srv.Traffic().BytesOut > 0 }, harness.Patience, time.Millisecond)
		require.True(t, s.Close("Kicked"))
		require.ErrorIs(t, harness.Next(t, sent), tcp.ErrSessionClosed)
		got, err := io.ReadAll(c)
		if err != nil && !errors.Is(err, io.EOF) {
			require.NoError(t, err)
		}
		require.Equal(t, size+len("bye: Kicked\n"), len(got))
		require.Equal(t, "bye: Kicked\n", string(got[size:]))
		require.Eventually(t, func() bool { return srv.Traffic().Outbound == 0 }, harness.Patience, time.Millisecond)
	}
}
