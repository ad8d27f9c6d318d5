package tcp_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestPost_IsSentBeforeTheSessionEnds(t *testing.T) {
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
			overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
				srv := &tcp.Server{
					MaxFrame: 100, LingerTimeout: harness.Patience,
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
							require.ErrorIs(t, s.Post([]byte("x")), tcp.ErrSessionClosed)
						case "panic":
							panic("trip")
						default:
							postEcho(s, line)
						}
					},
				}
				e := watch(srv)
				c := listen(t, srv)()
				go func() {
					_, _ = io.WriteString(c, tt.input)
					if cw, ok := c.(interface{ CloseWrite() error }); ok && name == "the end of the stream" {
						_ = cw.CloseWrite()
					}
				}()
				harness.Read(t, c, queued)
				if _, socket := c.LocalAddr().(*net.TCPAddr); !socket {
					_ = c.Close() // a pipe cannot close one direction
				}
				harness.WaitClosed(t, c)
				require.Equal(t, tt.reason, harness.Next(t, e.closed))
			})
		})
	}
}

func TestPost_OfTheLastFramesIsSentByShutdown(t *testing.T) {
	t.Parallel() // it waits for LingerTimeout
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		t.Parallel() // likewise
		onMessage, entered, letGo := gate(postEcho)
		srv := &tcp.Server{LingerTimeout: 10 * time.Second, OnMessage: onMessage}
		e := watch(srv)
		c := listen(t, srv)()
		go io.WriteString(c, "a\nwait\nb\n") //nolint:errcheck // what is read tells
		t.Cleanup(letGo)
		harness.Next(t, entered)
		down := startShutdown(t.Context(), srv)
		require.Empty(t, down)
		letGo()
		rest, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "a\nb\n", string(rest))
		require.NoError(t, harness.Next(t, down))
		require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
	})
}

func TestPost_OfAPeerThatDoesNotReadClosesAsSlow(t *testing.T) {
	for name, reply := range map[string][]byte{
		"many": bytes.Repeat([]byte("x"), 1000), "large": bytes.Repeat([]byte("x"), 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
				var failure error
				srv := &tcp.Server{WriteTimeout: -1, OnMessage: func(s *tcp.Session, _ []byte) {
					for failure == nil {
						failure = s.Post(reply)
					}
				}}
				e := watch(srv)
				harness.Write(t, listen(t, srv)(), "flood me\n")
				require.Equal(t, tcp.ReasonSlow, harness.Next(t, e.closed))
				require.ErrorIs(t, failure, tcp.ErrSlow)
				require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrSlow)
			})
		})
	}
}

// The write after the callback fails, whose error goes to OnError alone.
func TestPost_ThatCannotBeSentIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{OnMessage: postEcho}
		e := watch(srv)
		harness.Write(t, harness.ListenPipes(t, srv)(), "nobody reads this\n")
		require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrSlow)
		require.Equal(t, tcp.ReasonSlow, harness.Next(t, e.closed))
	})
}

func TestPost_DoesNotMakeACloseWaitForThePeer(t *testing.T) {
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		entered := make(chan *tcp.Session, 1)
		gate := make(chan struct{})
		srv := &tcp.Server{WriteTimeout: -1, OnMessage: func(s *tcp.Session, _ []byte) {
			_ = s.Post([]byte("never read"))
			entered <- s
			<-gate
		}}
		e := watch(srv)
		c := listen(t, srv)()
		harness.Write(t, c, "x\n")
		s := harness.Next(t, entered)
		require.True(t, s.Close("by hand"), "from another goroutine")
		close(gate)
		require.Equal(t, pool.Reason("by hand"), harness.Next(t, e.closed))
	})
}

// The peer reads its replies later than the idle timeout.
func TestPost_IsSentBeforeTheSessionIsIdleOrDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		srv := &tcp.Server{IdleTimeout: 10 * time.Second, LingerTimeout: 20 * time.Second, OnMessage: func(s *tcp.Session, line []byte) {
			postEcho(s, line)
			if string(line) == "last" {
				<-gate
			}
		}}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		for range 2 {
			harness.Write(t, c, "reply\n")
			time.Sleep(15 * time.Second)
			harness.Read(t, c, "reply\n")
			time.Sleep(9 * time.Second)
			require.Empty(t, e.closed, "a whole idle timeout follows")
		}
		harness.Write(t, c, "last\n")
		synctest.Wait() // Shutdown finds it in its callback
		down := startShutdown(t.Context(), srv)
		time.Sleep(time.Second)
		close(gate)
		time.Sleep(15 * time.Second)
		require.Empty(t, down)
		harness.Read(t, c, "last\n")
		require.NoError(t, harness.Next(t, down))
		require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
	})
}

func TestPost_IsSentUnlessThePeerIsGoneOrSlow(t *testing.T) {
	for reason, sent := range map[pool.Reason]bool{
		pool.Timeout: true, pool.Shutdown: true, "mine": true,
		tcp.ReasonError: false, tcp.ReasonSlow: false, tcp.ReasonOverload: false,
	} {
		srv := &tcp.Server{FlushInterval: time.Hour, OnMessage: func(s *tcp.Session, line []byte) {
			postEcho(s, line)
			s.Close(reason)
		}}
		c := harness.ListenTCP(t, srv)()
		harness.Write(t, c, "x\n")
		rest, err := io.ReadAll(c)
		require.Equal(t, sent, string(rest) == "x\n", "%s: %q", reason, rest)
		require.Equal(t, sent, err == nil, "%s: %v", reason, err)
	}
}

func TestPost_OnAClosedSessionIsErrSessionClosed(t *testing.T) {
	var late error
	srv := &tcp.Server{}
	e := watch(srv)
	closed := srv.OnSessionClosed
	srv.OnSessionClosed = func(s *tcp.Session, r pool.Reason) {
		late = s.Post([]byte("x"))
		closed(s, r)
	}
	harness.ListenTCP(t, srv)()
	s := harness.Next(t, e.opened)
	require.True(t, s.Close("enough"))
	require.Equal(t, pool.Reason("enough"), harness.Next(t, e.closed))
	require.ErrorIs(t, late, tcp.ErrSessionClosed)
	require.ErrorIs(t, s.Post(nil), tcp.ErrSessionClosed)
	require.Empty(t, e.errors)
}
