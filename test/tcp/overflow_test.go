package tcp_test

import (
	"bytes"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestOverflow_ClosesASlowSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{MaxOutbound: 1000}
		e := watch(srv)
		harness.ListenPipes(t, srv)()
		s := harness.Next(t, e.opened)
		require.NoError(t, s.Post(make([]byte, 600)))
		require.NoError(t, s.Post(make([]byte, 400)))
		require.Equal(t, 1000, s.Outbound())
		require.ErrorIs(t, s.Post(make([]byte, 1)), tcp.ErrSlow)
		require.ErrorIs(t, s.Post(make([]byte, 1)), tcp.ErrSessionClosed)
		require.Equal(t, tcp.ReasonSlow, harness.Next(t, e.closed))
		require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrSlow)
		require.Equal(t, uint64(1), srv.Traffic().Slow)
		synctest.Wait()
		require.Zero(t, srv.Traffic().Outbound)
		require.Zero(t, s.Outbound())
	})
}

func TestOverflow_MayDropTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{MaxOutbound: 1000, Overflow: tcp.DropNewest}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		s := harness.Next(t, e.opened)
		require.NoError(t, s.Post(bytes.Repeat([]byte("a"), 999)))
		require.ErrorIs(t, s.Post([]byte("bb")), tcp.ErrOverflow)
		require.NoError(t, s.Post([]byte("c")))
		require.Equal(t, uint64(1), srv.Traffic().Dropped)
		harness.Read(t, c, string(bytes.Repeat([]byte("a"), 999))+"c")
		synctest.Wait()
		require.NoError(t, s.Post([]byte("bb")), "there is room again")
		harness.Read(t, c, "bb")
		require.Empty(t, e.closed)
	})
}

// A Post that closes the session leaves the callbacks to another goroutine.
func TestOverflow_MayHappenUnderALockThatTheCallbacksTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lock := make(chan struct{}, 1) // for a Mutex, the bubble's time would stand still
		srv := &tcp.Server{MaxOutbound: 1000}
		e := watch(srv)
		srv.OnSessionClosed = func(_ *tcp.Session, r pool.Reason) {
			lock <- struct{}{}
			e.closed <- r
			<-lock
		}
		harness.ListenPipes(t, srv)()
		s := harness.Next(t, e.opened)
		lock <- struct{}{}
		require.NoError(t, s.Post(make([]byte, 1000)))
		require.ErrorIs(t, s.Post(make([]byte, 1)), tcp.ErrSlow)
		synctest.Wait()
		require.Empty(t, e.closed)
		<-lock
		require.Equal(t, tcp.ReasonSlow, harness.Next(t, e.closed))
	})
}

func TestOverflow_OfOneMessageClosesNothing(t *testing.T) {
	for _, overflow := range []tcp.Overflow{tcp.CloseSlow, tcp.DropNewest} {
		srv := &tcp.Server{MaxOutbound: 1000, Overflow: overflow}
		e := watch(srv)
		c := harness.ListenTCP(t, srv)()
		s := harness.Next(t, e.opened)
		require.ErrorIs(t, s.Post(make([]byte, 1001)), tcp.ErrOverflow)
		require.NoError(t, s.Post([]byte("hello")))
		harness.Read(t, c, "hello")
		require.Empty(t, e.closed)
	}
}

// The replies to a pipeline are gathered, and are not what waits for the peer.
func TestOverflow_IsNotThePipelineOfAPeerThatReads(t *testing.T) {
	srv := &tcp.Server{MaxOutbound: 1000, FlushInterval: time.Hour, OnMessage: postEcho}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	pipeline := bytes.Repeat([]byte("0123456789\n"), 700)
	go c.Write(pipeline) //nolint:errcheck // what is read tells
	harness.Read(t, c, string(pipeline))
	require.Empty(t, e.closed)
}

// What a Send waits for has a caller that waits, and is not what Post is bounded by.
func TestOverflow_DoesNotCountSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{MaxOutbound: 1000}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		s := harness.Next(t, e.opened)
		sent := make(chan error, 1)
		go func() { sent <- s.Send(make([]byte, 100_000)) }()
		synctest.Wait()
		require.Zero(t, s.Outbound())
		require.NoError(t, s.Post([]byte("behind")))
		harness.Read(t, c, string(make([]byte, 100_000))+"behind")
		require.NoError(t, harness.Next(t, sent))
	})
}

// Likewise if it goes out in one write with what a Post has queued before it.
func TestOverflow_DoesNotCountASendThatIsGatheredWithAPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{MaxOutbound: 1000, OnMessage: func(s *tcp.Session, _ []byte) {
			_ = s.Post(make([]byte, 100))
			_ = s.Send(make([]byte, 1500))
		}}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		s := harness.Next(t, e.opened)
		harness.Write(t, c, "x\n")
		synctest.Wait()
		require.Equal(t, 100, s.Outbound())
		require.NoError(t, s.Post([]byte("behind")))
		harness.Read(t, c, string(make([]byte, 40)))
		time.Sleep(10 * time.Second) // a pipe tells how much it has taken when it is looked at
		require.Equal(t, 60+len("behind"), s.Outbound())
		harness.Read(t, c, string(make([]byte, 1560))+"behind")
		synctest.Wait()
		require.Zero(t, srv.Traffic().Outbound)
	})
}

func TestPost_WhileBytesWaitTheSessionIsNotIdle(t *testing.T) {
	for _, activity := range []tcp.Activity{tcp.ReceivedOrSent, tcp.Received, tcp.Sent} {
		synctest.Test(t, func(t *testing.T) {
			srv := &tcp.Server{IdleTimeout: 5 * time.Second, Activity: activity}
			e := watch(srv)
			c := harness.ListenPipes(t, srv)()
			s := harness.Next(t, e.opened)
			require.NoError(t, s.Post(make([]byte, 10)))
			for range 10 {
				time.Sleep(4 * time.Second)
				_, err := c.Read(make([]byte, 1))
				require.NoError(t, err, activity)
			}
			taken := time.Now()
			require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
			want := 5 * time.Second
			if activity == tcp.Received { // nothing was received for long
				want = 0
			}
			require.InDelta(t, want.Seconds(), time.Since(taken).Seconds(), 0.1, activity)
		})
	}
}

func TestSend_ThatMakesProgressIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: 5 * time.Second}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		s := harness.Next(t, e.opened)
		ended := readNowAndThen(c, 3*time.Second)
		require.NoError(t, s.Send(make([]byte, 20)))
		require.Empty(t, e.closed)
		require.NoError(t, c.Close())
		<-ended
	})
}

// A callback takes long: what it has posted does not wait for its end.
func TestPost_DuringALongCallbackIsSentSoon(t *testing.T) {
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		release := make(chan struct{})
		srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) {
			postEcho(s, line)
			<-release
		}}
		c := listen(t, srv)()
		harness.Write(t, c, "x\n")
		harness.Read(t, c, "x\n")
		close(release)
	})
}

func TestPost_OfAnotherGoroutineDoesNotWaitForTheNextFrame(t *testing.T) {
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{}
		e := watch(srv)
		c := listen(t, srv)()
		if tc, ok := c.(interface{ Handshake() error }); ok {
			require.NoError(t, tc.Handshake())
		}
		require.NoError(t, harness.Next(t, e.opened).Post([]byte("push\n")))
		harness.Read(t, c, "push\n")
	})
}
