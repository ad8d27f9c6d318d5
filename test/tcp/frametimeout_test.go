package tcp_test

import (
	"bufio"
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestFrameTimeout_EndsATrickleOfBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: time.Hour, FrameTimeout: 10 * time.Second}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		start := time.Now()
		for err := error(nil); err == nil; time.Sleep(time.Second) {
			require.LessOrEqual(t, time.Since(start), 11*time.Second)
			_, err = c.Write([]byte("x"))
		}
		require.Equal(t, tcp.ReasonFrameTimeout, harness.Next(t, e.closed))
		require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrFrameTimeout)
	})
}

func TestFrameTimeout_EndsATrickleOverASocket(t *testing.T) {
	srv := &tcp.Server{IdleTimeout: time.Hour, FrameTimeout: 100 * time.Millisecond}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	for len(e.closed) == 0 {
		_, _ = c.Write([]byte("x"))
		time.Sleep(5 * time.Millisecond)
	}
	require.Equal(t, tcp.ReasonFrameTimeout, harness.Next(t, e.closed))
	require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrFrameTimeout)
}

func TestFrameTimeout_BeginsAgainWithEachFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: time.Hour, FrameTimeout: 10 * time.Second}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		// Each part ends one frame and begins the next, so no frame is late.
		harness.Write(t, c, "begin")
		for range 10 {
			time.Sleep(8 * time.Second)
			harness.Write(t, c, "end\nbegin")
			require.Equal(t, "beginend", harness.Next(t, e.messages))
		}
		time.Sleep(8 * time.Second)
		harness.Write(t, c, "end\n")
		require.Equal(t, "beginend", harness.Next(t, e.messages))
		time.Sleep(59 * time.Minute) // nothing is pending: no frame can be late
		harness.Write(t, c, "whole\n")
		require.Equal(t, "whole", harness.Next(t, e.messages))
		require.Empty(t, e.closed)
	})
}

func TestFrameTimeout_OfASocketEndsWithAWholeFrame(t *testing.T) {
	t.Parallel() // it waits for a timeout of a socket
	const frameTimeout = 10 * time.Second
	srv := &tcp.Server{FrameTimeout: frameTimeout}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Next(t, e.opened)
	harness.Write(t, c, "begin")
	time.Sleep(20 * time.Millisecond)
	harness.Write(t, c, "end\n")
	require.Equal(t, "beginend", harness.Next(t, e.messages))
	time.Sleep(frameTimeout + 500*time.Millisecond)
	harness.Write(t, c, "whole\n")
	require.Equal(t, "whole", harness.Next(t, e.messages))
	require.Empty(t, e.closed)
}

func TestFrameTimeout_EndsWithASkippedFrame(t *testing.T) {
	comments := func(data []byte, atEOF bool) (int, []byte, error) {
		n, token, err := bufio.ScanLines(data, atEOF)
		if bytes.HasPrefix(token, []byte("#")) {
			token = nil
		}
		return n, token, err
	}
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{Split: comments, FrameTimeout: 10 * time.Second}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		harness.Write(t, c, "# skip")
		time.Sleep(8 * time.Second)
		harness.Write(t, c, " this\nbeg")
		time.Sleep(8 * time.Second)
		harness.Write(t, c, "in\n# and")
		require.Equal(t, "begin", harness.Next(t, e.messages))
		time.Sleep(time.Second)
		harness.Write(t, c, " this\n")
		time.Sleep(time.Minute)
		harness.Write(t, c, "end\n")
		require.Equal(t, "end", harness.Next(t, e.messages))
		require.Empty(t, e.closed)
	})
}
