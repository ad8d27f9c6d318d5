package tcp_test

import (
	"context"
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
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestSlow_IsAPeerThatDoesNotRead(t *testing.T) {
	t.Parallel() // it waits for WriteTimeout
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		sent := make(chan error, 1)
		srv := &tcp.Server{
			WriteTimeout: 100 * time.Millisecond,
			OnMessage: func(s *tcp.Session, _ []byte) {
				var err error
				for chunk := make([]byte, 1<<20); err == nil; {
					err = s.Send(chunk)
				}
				sent <- err
			},
		}
		e := watch(srv)
		dial := listen(t, srv)
		harness.Write(t, dial(), "flood me\n")
		require.ErrorIs(t, harness.Next(t, sent), tcp.ErrSlow)
		require.Equal(t, tcp.ReasonSlow, harness.Next(t, e.closed))
		require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrSlow)
	})
}

func TestSlow_IsNotAPeerThatReadsAgain(t *testing.T) {
	t.Parallel() // it waits for a timeout of a socket
	const (
		size         = 8 << 20
		writeTimeout = 10 * time.Second
	)
	srv := &tcp.Server{
		WriteTimeout: writeTimeout,
		OnMessage:    func(s *tcp.Session, _ []byte) { _ = s.Send(make([]byte, size)) },
	}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	for _, pause := range []time.Duration{0, writeTimeout + 500*time.Millisecond} {
		time.Sleep(pause) // the deadline of the first Send must be gone
		harness.Write(t, c, "more\n")
		time.Sleep(50 * time.Millisecond) // the socket fills
		n, err := io.CopyN(io.Discard, c, size)
		require.NoError(t, err, "after %d bytes", n)
	}
	require.Empty(t, e.closed)
	require.Empty(t, e.errors)
}

func TestSlow_APeerDelaysNoOther(t *testing.T) {
	srv := &tcp.Server{WriteTimeout: -1, OnMessage: func(s *tcp.Session, p []byte) {
		for string(p) == "flood me" && s.Send(make([]byte, 1<<20)) == nil {
			continue
		}
		harness.EchoLine(s, p)
	}}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	harness.Write(t, dial(), "flood me\n")
	stuck := harness.Next(t, e.opened)
	c := dial()
	for range 100 {
		harness.Write(t, c, "hi\n")
		harness.Read(t, c, "hi\n")
	}
	require.True(t, stuck.Close("by hand"), "a Send without a timeout does not block Close")
	require.Equal(t, pool.Reason("by hand"), harness.Next(t, e.closed))
	require.Empty(t, e.errors)
}

func TestSlow_IsNotAPeerThatReadsALittleNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		s := harness.Next(t, e.opened)
		ended := readNowAndThen(c, 20*time.Second)
		require.NoError(t, s.Send(make([]byte, 100)))
		require.Empty(t, e.closed)
		_ = c.Close()
		<-ended
	})
}

// The last byte is taken at the beginning.
func TestSlow_CountsFromTheLastProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{WriteTimeout: 20 * time.Second}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		s := harness.Next(t, e.opened)
		sent := make(chan error, 1)
		go func() { sent <- s.Send(make([]byte, 100)) }()
		for range 3 {
			time.Sleep(15 * time.Second)
			_, err := c.Read(make([]byte, 1))
			require.NoError(t, err)
		}
		start := time.Now()
		require.ErrorIs(t, harness.Next(t, sent), tcp.ErrSlow)
		require.GreaterOrEqual(t, time.Since(start), 20*time.Second)
		require.Less(t, time.Since(start), 26*time.Second)
		require.Equal(t, tcp.ReasonSlow, harness.Next(t, e.closed))
	})
}

// A wheel is up to a tick late each time that it is asked to look at the peer, which is no freeze
// of the process.
func TestSlow_IsSeenHoweverShortWriteTimeoutIsBesideATick(t *testing.T) {
	for _, tick := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		for _, ticks := range []time.Duration{1, 3, 5, 7} {
			synctest.Test(t, func(t *testing.T) {
				srv := &tcp.Server{
					Wheel: harness.NewWheel(t, wheel.Config{Tick: tick}), WriteTimeout: ticks * tick,
					OnMessage: func(s *tcp.Session, line []byte) { _ = s.Send(line) },
				}
				e := watch(srv)
				harness.Write(t, harness.ListenPipes(t, srv)(), "nobody reads this\n")
				start := time.Now()
				require.Equal(t, tcp.ReasonSlow, harness.Next(t, e.closed))
				require.GreaterOrEqual(t, time.Since(start), ticks*tick)
				require.LessOrEqual(t, time.Since(start), ticks*tick*5/4+5*tick)
			})
		}
	}
}

// readNowAndThen reads up to two bytes at each interval until the connection is
// closed.
func readNowAndThen(c net.Conn, each time.Duration) (ended chan struct{}) {
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		for err := error(nil); err == nil; _, err = c.Read(make([]byte, 2)) {
			time.Sleep(each)
		}
	}()
	return ended
}

// The peer sends many frames at once and reads each reply just in time.
func TestSlow_APeerDelaysShutdownUntilItsContextEnds(t *testing.T) {
	const frames, each = 20, 25 * time.Second
	for _, patience := range []time.Duration{10 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			srv := &tcp.Server{OnMessage: harness.EchoLine}
			e := watch(srv)
			c := harness.ListenPipes(t, srv)()
			harness.Next(t, e.opened)
			harness.Write(t, c, "x")
			harness.Write(t, c, strings.Repeat("\n", frames)) // read at once, behind the x
			ended := readNowAndThen(c, each)
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
			require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
			<-ended
		})
	}
}
