package tcp_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/loopback"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/tcp/tcptest"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// startRun calls Run with two listeners in memory and a context that end ends. A session on
// each is open when it returns.
func startRun(t *testing.T, srv *tcp.Server) (ls [2]*tcptest.Listener, conns [2]net.Conn, end func(), ran <-chan error) {
	ctx, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	ls = [2]*tcptest.Listener{tcptest.Listen(), tcptest.Listen()}
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx, ls[0], ls[1]) }()
	for i, l := range ls {
		c, err := l.Dial()
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		conns[i] = c
	}
	synctest.Wait()
	require.Equal(t, 2, srv.Stats().Sessions)
	require.Empty(t, done)
	return ls, conns, end, done
}

func TestRun_ShutsTheServerDownWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, conns, end, ran := startRun(t, &tcp.Server{
			Farewell: func(_ *tcp.Session, why pool.Reason) []byte { return []byte("bye: " + why) },
		})
		end()
		for _, c := range conns {
			harness.Read(t, c, "bye: Shutdown")
			harness.WaitClosed(t, c)
			require.NoError(t, c.Close())
		}
		require.NoError(t, <-ran)
	})
}

func TestRun_ShutsTheServerDownWhenAListenerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ls, conns, _, ran := startRun(t, &tcp.Server{})
		require.NoError(t, ls[1].Close())
		require.ErrorIs(t, <-ran, net.ErrClosed)
		for _, c := range conns {
			harness.WaitClosed(t, c)
		}
	})
}

func TestRun_CutsOffWhatIsLeftAfterDrainOverAndDrainTimeout(t *testing.T) {
	for _, tt := range []struct {
		name           string
		over, timeout  time.Duration
		blocked, takes time.Duration // the callback, and Run
		ends           bool
	}{
		{name: "default", blocked: time.Minute, takes: 10 * time.Second},
		{name: "set", timeout: 3 * time.Second, blocked: time.Minute, takes: 3 * time.Second},
		{name: "beyond DrainOver", over: 20 * time.Second, timeout: 3 * time.Second, blocked: time.Minute, takes: 23 * time.Second},
		{name: "negative DrainOver", over: -time.Hour, timeout: 3 * time.Second, blocked: time.Minute, takes: 3 * time.Second},
		{name: "off", timeout: -1, blocked: time.Minute, takes: time.Minute, ends: true},
		{name: "in time", timeout: 3 * time.Second, blocked: 2 * time.Second, takes: 2 * time.Second, ends: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				blocked := make(chan struct{})
				defer func() { <-blocked }()
				srv := &tcp.Server{
					DrainOver:    tt.over,
					DrainTimeout: tt.timeout,
					OnMessage: func(*tcp.Session, []byte) {
						time.Sleep(tt.blocked)
						close(blocked)
					},
				}
				_, conns, end, ran := startRun(t, srv)
				harness.Write(t, conns[0], "on\n")
				synctest.Wait()
				start := time.Now()
				end()
				err := <-ran
				require.Equal(t, tt.takes, time.Since(start))
				if tt.ends {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, context.DeadlineExceeded)
				}
			})
		})
	}
}

func TestRun_ReturnsWhenSomebodyElseHasShutTheServerDown(t *testing.T) {
	for name, down := range map[string]func(*tcp.Server) error{
		"Shutdown": func(srv *tcp.Server) error { return srv.Shutdown(context.Background()) },
		"Close":    (*tcp.Server).Close,
		"StopListening, then Shutdown": func(srv *tcp.Server) error {
			srv.StopListening()
			return srv.Shutdown(context.Background())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &tcp.Server{}
				_, _, _, ran := startRun(t, srv)
				require.NoError(t, down(srv))
				require.NoError(t, <-ran)
			})
		})
	}
}

func TestRun_GoesOnAfterStopListeningUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{OnMessage: harness.EchoLine}
		ls, conns, end, ran := startRun(t, srv)
		srv.StopListening()
		time.Sleep(time.Minute)
		require.Empty(t, ran)
		_, err := ls[0].Dial()
		require.Error(t, err)
		harness.Write(t, conns[0], "still here\n")
		harness.Read(t, conns[0], "still here\n")
		end()
		require.NoError(t, <-ran)
	})
}

func TestRun_ThatCannotBeginClosesItsListeners(t *testing.T) {
	l := tcptest.Listen()
	require.ErrorContains(t, (&tcp.Server{MaxFrame: -1}).Run(t.Context(), l), "MaxFrame")
	_, err := l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)

	over := &tcp.Server{}
	require.NoError(t, over.Close())
	require.ErrorIs(t, over.Run(t.Context(), tcptest.Listen()), tcp.ErrServerClosed)
}

func TestRun_WithoutListenersListensOnAddr(t *testing.T) {
	require.ErrorContains(t, (&tcp.Server{}).Run(t.Context()), "Server.Addr is empty")

	taken, err := net.Listen("tcp", net.JoinHostPort(loopback.Host(), "0"))
	require.NoError(t, err)
	addr := taken.Addr().String()
	require.ErrorContains(t, (&tcp.Server{Addr: addr}).Run(t.Context()), "Server.Addr")
	require.NoError(t, taken.Close())

	ctx, end := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- (&tcp.Server{Addr: addr, OnMessage: harness.EchoLine}).Run(ctx) }()
	var c net.Conn
	require.Eventually(t, func() bool {
		c, err = net.Dial("tcp", addr)
		return err == nil
	}, harness.Patience, time.Millisecond)
	harness.Write(t, c, "hello\n")
	harness.Read(t, c, "hello\n")
	end()
	require.NoError(t, c.Close())
	require.NoError(t, harness.Next(t, ran))
}
