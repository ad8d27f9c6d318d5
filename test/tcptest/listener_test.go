package tcptest_test

import (
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/tcp/tcptest"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestListener_ResetsAtItsEndWhatWasNotAccepted(t *testing.T) {
	check := func(t *testing.T, l net.Listener, dial func() (net.Conn, error)) {
		first, err := dial()
		require.NoError(t, err)
		defer first.Close()
		accepted, err := l.Accept()
		require.NoError(t, err)
		defer accepted.Close()
		require.Equal(t, first.LocalAddr().String(), accepted.RemoteAddr().String())
		second, err := dial()
		require.NoError(t, err)
		defer second.Close()
		require.NoError(t, l.Close())
		requireOpError(t, readOne(second)(), "read", syscall.ECONNRESET)
		harness.Write(t, first, "still open")
		harness.Read(t, accepted, "still open")
		_, err = dial()
		requireOpError(t, err, "dial", syscall.ECONNREFUSED)
		_, err = l.Accept()
		requireOpError(t, err, "accept", net.ErrClosed)
		requireOpError(t, l.Close(), "close", net.ErrClosed)
	}
	t.Run("socket", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		check(t, l, func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) })
	})
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := tcptest.Listen()
			check(t, l, func() (net.Conn, error) { return l.Dial() })
		})
	})
}

func TestListener_CloseEndsAnAcceptThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tcptest.Listen()
		accepted := later(func() error { _, err := l.Accept(); return err })
		synctest.Wait()
		require.Empty(t, accepted)
		require.NoError(t, l.Close())
		requireOpError(t, harness.Next(t, accepted), "accept", net.ErrClosed)
	})
}

func TestListener_GivesEachClientAnAddressOfItsOwn(t *testing.T) {
	l := tcptest.Listen()
	seen := map[string]bool{l.Addr().String(): true}
	for range 70_000 { // more than one address has ports
		c, err := l.Dial()
		require.NoError(t, err)
		a := c.LocalAddr().(*net.TCPAddr)
		if !a.IP.IsLoopback() || seen[a.String()] {
			t.Fatalf("%v is no address of the loopback or comes twice", a)
		}
		seen[a.String()] = true
	}
	require.NoError(t, l.Close())
}

func TestBuffer_HoldsExactlyItsSize(t *testing.T) {
	for _, tt := range []struct {
		name               string
		buffer, read, want int
	}{
		{"default", 0, 0, 64 << 10},
		{"negative", -1, 0, 64 << 10},
		{"of the listener", 10, 0, 10},
		{"of one connection", 10, 20, 20},
		{"made smaller", 100, 7, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := tcptest.Listen()
				l.Buffer = tt.buffer
				c, err := l.Dial()
				require.NoError(t, err)
				s, err := l.Accept()
				require.NoError(t, err)
				if tt.read > 0 {
					require.NoError(t, s.(*tcptest.Conn).SetReadBuffer(tt.read))
				}
				n, err := fillUntilFull(c)
				require.ErrorContains(t, err, "i/o timeout")
				require.Equal(t, tt.want, n)
				require.Equal(t, n, s.(*tcptest.Conn).Buffered())
				require.ErrorContains(t, s.(*tcptest.Conn).SetReadBuffer(0), "positive")
			})
		})
	}
}

// A socket's peer may have read, or may still read, a part of it.
func TestCut_DestroysWhatWasNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tcptest.Listen()
		c, err := l.Dial()
		require.NoError(t, err)
		s, err := l.Accept()
		require.NoError(t, err)
		harness.Write(t, c, "lost")
		require.NoError(t, c.Cut())
		for range 2 {
			requireOpError(t, readOne(s)(), "read", syscall.ECONNRESET)
		}
		requireOpError(t, c.Cut(), "close", net.ErrClosed)
		require.NoError(t, s.Close())
	})
}

func TestKeepAlive_OfEightHoursAndThenSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle, every, tick = time.Minute, 45 * time.Second, 10 * time.Millisecond
		type end struct {
			reason pool.Reason
			at     time.Time
		}
		closed := make(chan end, 1)
		srv := &tcp.Server{
			IdleTimeout:     idle,
			OnMessage:       harness.EchoLine,
			OnSessionClosed: func(_ *tcp.Session, r pool.Reason) { closed <- end{r, time.Now()} },
		}
		l := tcptest.Listen()
		harness.ServeTCP(t, srv, l)
		c, err := l.Dial()
		require.NoError(t, err)
		defer c.Close()
		start := time.Now()
		for time.Since(start) < 8*time.Hour {
			time.Sleep(every)
			harness.Write(t, c, "ping\n")
			harness.Read(t, c, "ping\n")
		}
		require.Empty(t, closed)
		last := time.Now()
		got := <-closed
		require.Equal(t, pool.Timeout, got.reason)
		require.GreaterOrEqual(t, got.at.Sub(last), idle)
		require.LessOrEqual(t, got.at.Sub(last), idle+tick)
		harness.WaitClosed(t, c)
	})
}

func TestHTTP_RunsInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tcptest.Listen()
		srv := &http.Server{IdleTimeout: 30 * time.Second}
		served := later(func() error { return srv.Serve(l) })
		c, err := l.Dial()
		require.NoError(t, err)
		harness.Write(t, c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		answer := make([]byte, 1<<10)
		n, err := c.Read(answer)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(answer[:n]), "HTTP/1.1 404"), "%q", answer[:n])
		start := time.Now()
		harness.WaitClosed(t, c)
		require.Equal(t, 30*time.Second, time.Since(start))
		require.NoError(t, srv.Close())
		require.ErrorIs(t, harness.Next(t, served), http.ErrServerClosed)
	})
}
