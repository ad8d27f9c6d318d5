package udp_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/loopback"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

// startRun calls Run with a socket and a context that end ends.
func startRun(t *testing.T, srv *udp.Server) (addr net.Addr, end func(), ran <-chan error) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx, pc) }()
	return pc.LocalAddr(), end, done
}

func TestRun_ShutsTheServerDownWhenItsContextEnds(t *testing.T) {
	addr, end, ran := startRun(t, &udp.Server{
		OnMessage: func(s *udp.Session, p []byte) { _ = s.Send(p) },
		Farewell:  func(_ *udp.Session, why pool.Reason) []byte { return []byte(why) },
	})
	c := dialUDP(t, addr)
	require.Equal(t, "hello", ask(t, c, "hello"))
	end()
	require.Equal(t, "Shutdown", read(t, c))
	require.NoError(t, harness.Next(t, ran))
}

func TestRun_CutsOffWhatIsLeftAfterDrainTimeout(t *testing.T) {
	for _, tt := range []struct {
		name           string
		timeout        time.Duration
		blocked, takes time.Duration // the callback, and Run
		ends           bool
	}{
		{name: "default", blocked: time.Minute, takes: 10 * time.Second},
		{name: "set", timeout: 3 * time.Second, blocked: time.Minute, takes: 3 * time.Second},
		{name: "off", timeout: -1, blocked: time.Minute, takes: time.Minute, ends: true},
		{name: "in time", timeout: 3 * time.Second, blocked: 2 * time.Second, takes: 2 * time.Second, ends: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				blocked := make(chan struct{})
				srv := &udp.Server{
					DrainTimeout: tt.timeout,
					OnMessage: func(*udp.Session, []byte) {
						time.Sleep(tt.blocked)
						close(blocked)
					},
				}
				pc := newFakeSocket()
				ctx, end := context.WithCancel(t.Context())
				ran := make(chan error, 1)
				go func() { ran <- srv.Run(ctx, pc) }()
				pc.send("192.0.2.1:5000", "on")
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
				<-blocked
			})
		})
	}
}

func TestRun_ReturnsWhenSomebodyElseHasShutTheServerDown(t *testing.T) {
	srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) { _ = s.Send(p) }}
	addr, _, ran := startRun(t, srv)
	require.Equal(t, "hello", ask(t, dialUDP(t, addr), "hello"))
	require.NoError(t, srv.Shutdown(t.Context()))
	require.NoError(t, harness.Next(t, ran))
}

func TestRun_ShutsTheServerDownWhenItsSocketFails(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := make(chan pool.Reason, 1)
	srv := &udp.Server{
		OnMessage:       func(s *udp.Session, p []byte) { _ = s.Send(p) },
		OnSessionClosed: func(_ *udp.Session, why pool.Reason) { closed <- why },
	}
	ran := make(chan error, 1)
	go func() { ran <- srv.Run(t.Context(), pc) }()
	require.Equal(t, "hello", ask(t, dialUDP(t, pc.LocalAddr()), "hello"))
	require.NoError(t, pc.Close())
	require.ErrorIs(t, harness.Next(t, ran), udp.ErrRead)
	require.Equal(t, pool.Shutdown, harness.Next(t, closed))
}

func TestRun_LeavesAServerAloneThatHasASocket(t *testing.T) {
	srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) { _ = s.Send(p) }}
	addr, end, ran := startRun(t, srv)
	c := dialUDP(t, addr)
	require.Equal(t, "hello", ask(t, c, "hello"))
	second, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	require.ErrorIs(t, srv.Run(t.Context(), second), udp.ErrServing)
	require.NoError(t, second.Close(), "it was left open")
	require.Equal(t, "still", ask(t, c, "still"))
	end()
	require.NoError(t, harness.Next(t, ran))
}

// Neither a port that the server itself has taken nor a context that has ended may let Run
// shut the server down that is serving.
func TestRun_LeavesAServerAloneWhateverItIsCalledWith(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for name, run := range map[string]func(*udp.Server, net.PacketConn) error{
		"its own Addr":             func(srv *udp.Server, _ net.PacketConn) error { return srv.Run(t.Context(), nil) },
		"a context that has ended": func(srv *udp.Server, pc net.PacketConn) error { return srv.Run(ended, pc) },
	} {
		t.Run(name, func(t *testing.T) {
			pc, err := net.ListenPacket("udp", "127.0.0.1:0")
			require.NoError(t, err)
			srv := &udp.Server{Addr: pc.LocalAddr().String(), OnMessage: echo}
			serveUDP(t, srv, pc)
			c := dialUDP(t, pc.LocalAddr())
			require.Equal(t, "hello", ask(t, c, "hello"))
			second, err := net.ListenPacket("udp", "127.0.0.1:0")
			require.NoError(t, err)
			require.ErrorIs(t, run(srv, second), udp.ErrServing)
			require.NoError(t, second.Close(), "it was left open")
			require.Equal(t, "still", ask(t, c, "still"))
		})
	}
}

func TestRun_WithoutASocketListensOnAddr(t *testing.T) {
	require.ErrorContains(t, (&udp.Server{}).Run(t.Context(), nil), "Server.Addr is empty")

	free, err := net.ListenPacket("udp", net.JoinHostPort(loopback.Host(), "0"))
	require.NoError(t, err)
	require.NoError(t, free.Close())
	srv := &udp.Server{Addr: free.LocalAddr().String(), OnMessage: func(s *udp.Session, p []byte) { _ = s.Send(p) }}
	ctx, end := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- srv.Run(ctx, nil) }()
	c := dialUDP(t, free.LocalAddr())
	harness.Until(t, func() bool { // what is sent before it listens is lost
		_, _ = c.Write([]byte("hello"))
		return srv.Stats().Handled > 0
	})
	end()
	require.NoError(t, harness.Next(t, ran))
}
