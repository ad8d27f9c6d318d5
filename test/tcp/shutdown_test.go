package tcp_test

import (
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionwheel/sessionwheel/internal/pipes"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// blockingServer returns a server whose OnMessage reports that it has begun, waits
// for letGo, and echoes.
func blockingServer() (srv *tcp.Server, began chan string, letGo func()) {
	began = make(chan string, 100)
	gate := make(chan struct{})
	srv = &tcp.Server{OnMessage: func(s *tcp.Session, p []byte) {
		began <- string(p)
		<-gate
		harness.EchoLine(s, p)
	}}
	return srv, began, sync.OnceFunc(func() { close(gate) })
}

// startShutdown calls Shutdown and sends what it returns.
func startShutdown(ctx context.Context, srv *tcp.Server) <-chan error {
	down := make(chan error, 1)
	go func() { down <- srv.Shutdown(ctx) }()
	return down
}

func TestShutdown_LetsASessionFinishWhatItHasRead(t *testing.T) {
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv, began, letGo := blockingServer()
		e := watch(srv)
		dial := listen(t, srv)
		busy, idle := dial(), dial()
		harness.Next(t, e.opened)
		harness.Next(t, e.opened)
		harness.Write(t, busy, "a\n") // a pipe delivers its first byte separately
		require.Equal(t, "a", harness.Next(t, began))
		down := startShutdown(t.Context(), srv)
		harness.WaitClosed(t, idle)
		require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
		require.Empty(t, down, "a callback is still running")
		letGo()
		harness.Read(t, busy, "a\n")
		harness.WaitClosed(t, busy)
		require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
		require.NoError(t, harness.Next(t, down))
		require.Empty(t, e.errors)
		require.Zero(t, srv.Stats().Sessions)
	})
}

func TestShutdown_DeliversTheRepliesToAllFramesThatWereRead(t *testing.T) {
	srv, began, letGo := blockingServer()
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	busy, idle := dial(), dial()
	harness.Next(t, e.opened)
	harness.Next(t, e.opened)
	harness.Write(t, busy, "a\nb\nc\npart of a frame")
	require.Equal(t, "a", harness.Next(t, began))
	down := startShutdown(t.Context(), srv)
	harness.WaitClosed(t, idle)
	letGo()
	harness.Read(t, busy, "a\nb\nc\n")
	harness.WaitClosed(t, busy)
	require.NoError(t, harness.Next(t, down))
	require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
	require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
	require.Empty(t, e.errors)
}

func TestShutdown_WaitsForOnSessionClosed(t *testing.T) {
	gate := make(chan struct{})
	closing := make(chan struct{})
	srv := &tcp.Server{OnSessionClosed: func(*tcp.Session, pool.Reason) { close(closing); <-gate }}
	e := watch(srv)
	harness.ListenTCP(t, srv)()
	harness.Next(t, e.opened)
	down := startShutdown(t.Context(), srv)
	harness.Next(t, closing)
	time.Sleep(10 * time.Millisecond)
	require.Empty(t, down)
	close(gate)
	require.NoError(t, harness.Next(t, down))
}

func TestShutdown_ClosesWhatIsLeftWhenItsContextEnds(t *testing.T) {
	srv, began, letGo := blockingServer()
	t.Cleanup(letGo)
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "a\nb\n")
	harness.Next(t, began)
	ctx, cancel := context.WithCancelCause(t.Context())
	down := startShutdown(ctx, srv)
	time.Sleep(10 * time.Millisecond)
	require.Empty(t, down)
	cancel(nil)
	err := harness.Next(t, down)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "1 sessions had not ended")
	harness.WaitClosed(t, c)
	require.Empty(t, e.closed, "its callback still runs")
	again := startShutdown(t.Context(), srv)
	letGo()
	require.NoError(t, harness.Next(t, again), "a further call waits as the first did")
	require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
	require.Empty(t, began, "what was read and not begun is dropped")
}

func TestClose_OfAConnectionThatBlocksDelaysNothingElse(t *testing.T) {
	srv := &tcp.Server{}
	e := watch(srv)
	l := pipes.New()
	gate := make(chan struct{})
	harness.ServeTCP(t, srv, l)
	t.Cleanup(func() { close(gate) })
	for i := range 10 {
		mine, theirs := net.Pipe()
		t.Cleanup(func() { _ = mine.Close() })
		if i%5 == 0 {
			theirs = lateClose{theirs, gate}
		}
		l.Conns <- theirs
		harness.Next(t, e.opened)
	}
	ctx, cancel := context.WithCancel(t.Context())
	down := startShutdown(ctx, srv)
	for range 8 {
		require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
	}
	require.Empty(t, down)
	cancel()
	require.ErrorIs(t, harness.Next(t, down), context.Canceled)
}

func TestServerClose_WaitsForNoCallback(t *testing.T) {
	srv, began, letGo := blockingServer()
	t.Cleanup(letGo)
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "a\nb\n")
	harness.Next(t, began)
	require.NoError(t, srv.Close())
	harness.WaitClosed(t, c)
	require.Zero(t, srv.Stats().Sessions)
	require.Empty(t, e.closed)
	letGo()
	require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
	require.Empty(t, began, "the second frame is dropped")
	require.NoError(t, srv.Close())
}

func TestServerClose_MayBeCalledFromEveryCallback(t *testing.T) {
	for _, callback := range []string{"OnNewSessionRegister", "OnMessage", "Split", "OnError", "OnSessionClosed"} {
		t.Run(callback, func(t *testing.T) {
			var srv *tcp.Server
			closed := make(chan error, 10)
			srv = serverCalling(callback, func() { closed <- srv.Close() })
			onClosed := func() { closed <- srv.Close() }
			srv.OnError = func(*tcp.Session, error) {
				if callback == "OnError" {
					onClosed()
				}
			}
			srv.OnSessionClosed = func(*tcp.Session, pool.Reason) {
				if callback == "OnSessionClosed" {
					onClosed()
				}
			}
			c := harness.ListenTCP(t, srv)()
			_, _ = io.WriteString(c, "trip\n")
			if callback == "OnSessionClosed" {
				_ = c.Close()
			}
			require.NoError(t, harness.Next(t, closed))
		})
	}
}

func TestServe_AfterShutdownIsErrServerClosed(t *testing.T) {
	for name, end := range map[string]func(*tcp.Server) error{
		"Shutdown": func(srv *tcp.Server) error { return srv.Shutdown(t.Context()) },
		"Close":    func(srv *tcp.Server) error { return srv.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			srv := &tcp.Server{Addr: "127.0.0.1:0"}
			require.NoError(t, end(srv), "before it served")
			require.NoError(t, end(srv), "twice")
			l, err := net.Listen("tcp", srv.Addr)
			require.NoError(t, err)
			require.ErrorIs(t, srv.Serve(l), tcp.ErrServerClosed)
			_, err = l.Accept()
			require.ErrorIs(t, err, net.ErrClosed)
			require.ErrorIs(t, srv.ListenAndServe(), tcp.ErrServerClosed)

			srv = &tcp.Server{Addr: "127.0.0.1:0"}
			served := make(chan error, 2)
			for range 2 {
				go func() { served <- srv.ListenAndServe() }()
			}
			time.Sleep(5 * time.Millisecond)
			require.NoError(t, end(srv))
			for range 2 {
				require.ErrorIs(t, harness.Next(t, served), tcp.ErrServerClosed)
			}
		})
	}
}

func TestShutdown_AndCloseAtOnceAllReturn(t *testing.T) {
	for range 20 {
		srv := &tcp.Server{OnMessage: harness.EchoLine}
		dial := harness.ListenTCP(t, srv)
		for range 5 {
			dial()
		}
		var ends sync.WaitGroup
		for range 4 {
			ends.Go(func() {
				if err := srv.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
			ends.Go(func() { _ = srv.Close() })
		}
		ends.Wait()
	}
}

func TestShutdown_StartsNoSessionAndForgetsNone(t *testing.T) {
	for range 30 {
		var opened, closed atomic.Int64
		srv := &tcp.Server{
			OnNewSessionRegister: func(*tcp.Session) { opened.Add(1) },
			OnMessage:            harness.EchoLine,
			OnSessionClosed:      func(*tcp.Session, pool.Reason) { closed.Add(1) },
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		var dialers sync.WaitGroup
		for range 4 {
			dialers.Go(func() {
				for {
					c, err := net.Dial("tcp", l.Addr().String())
					if err != nil {
						return
					}
					_, _ = c.Write([]byte("x\n"))
					defer c.Close() // unless the server has closed it already
				}
			})
		}
		for opened.Load() < 10 {
			runtime.Gosched()
		}
		require.NoError(t, srv.Shutdown(t.Context()))
		n := opened.Load()
		require.Equal(t, n, closed.Load())
		require.Zero(t, srv.Stats().Sessions)
		require.ErrorIs(t, harness.Next(t, served), tcp.ErrServerClosed)
		dialers.Wait()
		require.Equal(t, n, opened.Load())
	}
}

func TestShutdown_LeavesNoGoroutineAndNoDescriptor(t *testing.T) {
	descriptors := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc to count descriptors in")
		}
		return len(fds)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	before := goleak.IgnoreCurrent()
	open := descriptors() - 1 // without the listener, but with those of Go's own poller
	srv := &tcp.Server{OnMessage: harness.EchoLine, IdleTimeout: 30 * time.Millisecond, MaxSessions: 150}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	var clients []net.Conn
	for i := range 200 { // some time out, some close, some are refused, some are there to the end
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		clients = append(clients, c)
		_, _ = io.WriteString(c, "x\n")
		if i%3 == 0 {
			require.NoError(t, c.Close())
		}
	}
	require.NoError(t, srv.Shutdown(t.Context()))
	require.ErrorIs(t, harness.Next(t, served), tcp.ErrServerClosed)
	for _, c := range clients {
		_ = c.Close()
	}
	require.NoError(t, goleak.Find(before))
	require.LessOrEqual(t, descriptors(), open+1, "the poller may have come into being")
}
