package tcp_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestDrainOver_SpreadsTheClosings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sessions, over = 100, 10 * time.Second
		srv := &tcp.Server{DrainOver: over, OnMessage: harness.EchoLine}
		e := watch(srv)
		dial := harness.ListenMemory(t, srv)
		for range sessions {
			c := dial()
			harness.Next(t, e.opened)
			go harness.WaitClosed(t, c)
		}
		synctest.Wait() // the last OnNewSessionRegister has returned
		start := time.Now()
		down := startShutdown(t.Context(), srv)
		for i := range sessions {
			require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
			want := over * time.Duration(i+1) / sessions
			require.InDelta(t, want.Seconds(), time.Since(start).Seconds(), 0.25)
		}
		require.NoError(t, harness.Next(t, down))
	})
}

func TestDrainOver_IsCutShortByShutdownsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{DrainOver: time.Hour}
		e := watch(srv)
		dial := harness.ListenMemory(t, srv)
		for range 10 {
			dial()
			harness.Next(t, e.opened)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, srv.Shutdown(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		for range 10 {
			require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
		}
	})
}

// If all sessions have ended by themselves, there is nothing to wait for.
func TestDrainOver_EndsWithTheLastSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{DrainOver: time.Hour}
		e := watch(srv)
		c := harness.ListenMemory(t, srv)()
		harness.Next(t, e.opened)
		synctest.Wait() // its OnNewSessionRegister has returned
		down := startShutdown(t.Context(), srv)
		time.Sleep(time.Minute)
		require.Empty(t, down)
		require.NoError(t, c.Close())
		require.NoError(t, harness.Next(t, down))
		require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
	})
}

func TestStopListening_LetsSessionsGoOn(t *testing.T) {
	srv := &tcp.Server{OnMessage: harness.EchoLine}
	e := watch(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	harness.Next(t, e.opened)
	srv.StopListening()
	srv.StopListening()
	require.ErrorIs(t, harness.Next(t, served), tcp.ErrServerClosed)
	srv.Addr = "127.0.0.1:0"
	require.ErrorIs(t, srv.ListenAndServe(), tcp.ErrServerClosed)
	_, err = net.Dial("tcp", l.Addr().String())
	require.Error(t, err)
	harness.Write(t, c, "still there\n")
	harness.Read(t, c, "still there\n")
	require.Empty(t, e.closed)
	require.NoError(t, srv.Shutdown(t.Context()))
	require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
}
