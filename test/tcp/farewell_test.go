package tcp_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// farewell says why a session ends.
func farewell(_ *tcp.Session, r pool.Reason) []byte { return []byte("bye: " + r + "\n") }

func TestFarewell_IsSentForEveryReasonOfTheServers(t *testing.T) {
	t.Parallel() // it waits for time limits
	for reason, end := range map[pool.Reason]func(*tcp.Server, *tcp.Session, net.Conn){
		pool.Timeout:           func(_ *tcp.Server, s *tcp.Session, _ net.Conn) { s.SetIdleTimeout(time.Millisecond) },
		pool.Lifetime:          nil,
		pool.Replaced:          nil,
		pool.Shutdown:          func(srv *tcp.Server, _ *tcp.Session, _ net.Conn) { go srv.Shutdown(context.Background()) }, //nolint:errcheck // the test waits for another
		tcp.ReasonTooLarge:     func(_ *tcp.Server, _ *tcp.Session, c net.Conn) { _, _ = io.WriteString(c, strings.Repeat("x", 200)) },
		tcp.ReasonBadFrame:     nil,
		tcp.ReasonFrameTimeout: func(_ *tcp.Server, _ *tcp.Session, c net.Conn) { _, _ = io.WriteString(c, "half") },
		"Kicked":               func(_ *tcp.Server, s *tcp.Session, _ net.Conn) { s.Close("Kicked") },
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel() // likewise
			overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
				opened := make(chan *tcp.Session, 2)
				calls := new(atomic.Int32)
				srv := &tcp.Server{
					MaxFrame: 100, FrameTimeout: 500 * time.Millisecond, LingerTimeout: harness.Patience,
					OnMessage: func(s *tcp.Session, line []byte) {
						require.NoError(t, s.Post(append(line, '\n')))
						opened <- s
					},
					Farewell: func(s *tcp.Session, r pool.Reason) []byte {
						calls.Add(1)
						require.ErrorIs(t, s.Context().Err(), context.Canceled)
						require.Equal(t, r, s.Reason())
						return farewell(s, r)
					},
				}
				if reason == pool.Lifetime {
					t.Parallel()                       // likewise
					srv.MaxLifetime = 10 * time.Second // from before the handshake
				}
				if reason == tcp.ReasonBadFrame {
					srv.Split = func(data []byte, atEOF bool) (int, []byte, error) {
						if strings.HasPrefix(string(data), "bad") {
							return 0, nil, io.ErrNoProgress
						}
						return splitLine(data, atEOF)
					}
					end = func(_ *tcp.Server, _ *tcp.Session, c net.Conn) { _, _ = io.WriteString(c, "bad\n") }
				}
				e := watch(srv)
				dial := listen(t, srv)
				c := dial()
				harness.Write(t, c, "hello\n")
				s := harness.Next(t, opened)
				if reason == pool.Replaced {
					require.NoError(t, s.Bind(t.Context(), "ann", nil))
					other := dial()
					harness.Write(t, other, "hello\n")
					require.NoError(t, harness.Next(t, opened).Bind(t.Context(), "ann", nil))
				} else if end != nil {
					end(srv, s, c)
				}
				rest, err := io.ReadAll(c)
				require.NoError(t, err)
				require.Equal(t, "hello\n"+string(farewell(nil, reason)), string(rest))
				_ = c.Close()
				require.Equal(t, reason, harness.Next(t, e.closed))
				require.Equal(t, int32(1), calls.Load())
			})
		})
	}
}

func TestFarewell_IsNotCalledForAPeerThatIsGoneOrSlow(t *testing.T) {
	srv := &tcp.Server{Farewell: func(s *tcp.Session, r pool.Reason) []byte {
		t.Errorf("called for %q", r)
		return nil
	}}
	srv.OnMessage = func(s *tcp.Session, line []byte) {
		switch string(line) {
		case "panic":
			panic("trip")
		case "finish":
			s.Finish("Finished")
		default:
			s.Close(pool.Reason(line))
		}
	}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	for _, line := range []string{"Error", "Slow", "Overload", "panic", "finish"} {
		harness.Write(t, dial(), line+"\n")
		harness.Next(t, e.closed)
	}
	require.NoError(t, dial().Close())
	require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
}

// The callbacks are serial: the farewell waits for OnMessage, and comes before OnSessionClosed.
func TestFarewell_ComesBetweenTheLastMessageAndTheClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		closed := make(chan struct{})
		srv := &tcp.Server{
			OnMessage: func(s *tcp.Session, _ []byte) {
				time.Sleep(500 * time.Millisecond)
				order = append(order, "message")
			},
			Farewell:        func(*tcp.Session, pool.Reason) []byte { order = append(order, "farewell"); return []byte("bye\n") },
			OnSessionClosed: func(*tcp.Session, pool.Reason) { order = append(order, "closed"); close(closed) },
		}
		e := watch(srv)
		c := harness.ListenMemory(t, srv)()
		s := harness.Next(t, e.opened)
		harness.Write(t, c, "x\n")
		synctest.Wait()
		require.True(t, s.Close("Kicked"), "Close waits for nobody")
		<-closed
		require.Equal(t, []string{"message", "farewell", "closed"}, order)
		harness.Read(t, c, "bye\n")
	})
}

// A callback that takes longer than LingerTimeout keeps the connection no longer than that.
func TestFarewell_IsNotWaitedForLongerThanLingerTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{
			LingerTimeout: 2 * time.Second,
			OnMessage:     func(s *tcp.Session, _ []byte) { time.Sleep(time.Minute) },
			Farewell:      farewell,
		}
		e := watch(srv)
		c := harness.ListenMemory(t, srv)()
		s := harness.Next(t, e.opened)
		harness.Write(t, c, "x\n")
		synctest.Wait()
		start := time.Now()
		require.True(t, s.Close("Kicked"))
		rest, err := io.ReadAll(c)
		require.Error(t, err, "reset")
		require.Empty(t, rest)
		require.Equal(t, 2*time.Second, time.Since(start))
		require.Equal(t, pool.Reason("Kicked"), harness.Next(t, e.closed))
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestFarewell_ThatCrashesEndsItsSessionAlone(t *testing.T) {
	for name, crash := range map[string]func(){"panic": func() { panic("trip") }, "Goexit": goexit} {
		t.Run(name, func(t *testing.T) {
			srv := &tcp.Server{OnMessage: harness.EchoLine, Farewell: func(s *tcp.Session, r pool.Reason) []byte {
				if r == "Kicked" {
					crash()
				}
				return farewell(s, r)
			}}
			e := watch(srv)
			dial := harness.ListenTCP(t, srv)
			other := dial()
			harness.Next(t, e.opened)
			c := dial()
			require.True(t, harness.Next(t, e.opened).Close("Kicked"))
			harness.WaitClosed(t, c)
			require.Equal(t, pool.Reason("Kicked"), harness.Next(t, e.closed))
			require.Error(t, harness.Next(t, e.errors))
			harness.Write(t, other, "x\n")
			harness.Read(t, other, "x\n")
		})
	}
}

// Neither the callbacks nor a takeover wait for a peer that does not read; Shutdown does, for
// LingerTimeout.
func TestFarewell_ToAPeerThatDoesNotReadDelaysShutdownAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{LingerTimeout: 3 * time.Second, Farewell: farewell}
		e := watch(srv)
		dial := harness.ListenPipes(t, srv)
		dial()
		s := harness.Next(t, e.opened)
		require.NoError(t, s.Bind(t.Context(), "ann", nil))
		dial()
		start := time.Now()
		require.NoError(t, harness.Next(t, e.opened).Bind(t.Context(), "ann", nil))
		require.Equal(t, pool.Replaced, harness.Next(t, e.closed))
		<-s.Done()
		require.Zero(t, time.Since(start))
		require.NoError(t, srv.Shutdown(t.Context()))
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestLinger_IsCutShortByShutdownsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{LingerTimeout: time.Hour, WriteTimeout: time.Hour, Farewell: farewell}
		e := watch(srv)
		dial := harness.ListenPipes(t, srv)
		dial()
		harness.Next(t, e.opened)
		dial()
		s := harness.Next(t, e.opened)
		require.NoError(t, s.Post([]byte("never read")))
		s.Finish("Finished")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, srv.Shutdown(ctx), context.DeadlineExceeded)
		require.NoError(t, srv.Shutdown(t.Context()))
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestLinger_CountsTowardsMaxSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{LingerTimeout: time.Minute, MaxSessions: 1, Farewell: farewell}
		e := watch(srv)
		dial := harness.ListenPipes(t, srv)
		dial()
		require.True(t, harness.Next(t, e.opened).Close("Kicked"))
		harness.Next(t, e.closed)
		require.Zero(t, srv.Stats().Sessions)
		harness.WaitClosed(t, dial())
		require.ErrorIs(t, harness.Next(t, e.errors), pool.ErrFull)
		require.Equal(t, uint64(1), srv.Stats().RefusedFull)
		time.Sleep(time.Minute + time.Second)
		dial()
		harness.Next(t, e.opened)
	})
}

func TestLinger_NegativeReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{LingerTimeout: -1, Farewell: farewell}
		e := watch(srv)
		dial := harness.ListenMemory(t, srv)
		c := dial()
		require.True(t, harness.Next(t, e.opened).Close("Kicked"))
		start := time.Now()
		harness.Read(t, c, "bye: Kicked\n")
		require.NoError(t, srv.Shutdown(t.Context()))
		require.Less(t, time.Since(start), time.Second)
	})
}
