package tcptest_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp/tcptest"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// conn is what *net.TCPConn and *tcptest.Conn have in common.
type conn interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error
	SetReadBuffer(bytes int) error
}

// onBoth runs f on the sides of a TCP connection of the loopback, and then on those
// of one in memory under fake time. settle gives other goroutines time to block.
func onBoth(t *testing.T, f func(t *testing.T, a, b conn, settle func())) {
	t.Helper()
	t.Run("socket", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		a, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer a.Close()
		b, err := l.Accept()
		require.NoError(t, err)
		defer b.Close()
		f(t, a.(conn), b.(conn), func() { time.Sleep(10 * time.Millisecond) })
	})
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := tcptest.Listen()
			defer l.Close()
			a, err := l.Dial()
			require.NoError(t, err)
			defer a.Close()
			b, err := l.Accept()
			require.NoError(t, err)
			defer b.Close()
			f(t, a, b.(conn), synctest.Wait)
		})
	})
}

// later returns what call returns once it has returned.
func later(call func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	return done
}

func readOne(c net.Conn) func() error {
	return func() error { _, err := c.Read(make([]byte, 1)); return err }
}

// fill writes until it fails.
func fill(c net.Conn) (n int, err error) {
	chunk := make([]byte, 1<<20)
	for err == nil {
		var m int
		m, err = c.Write(chunk)
		n += m
	}
	return n, err
}

func requireOpError(t *testing.T, err error, op string, want ...error) {
	t.Helper()
	var opErr *net.OpError
	require.ErrorAs(t, err, &opErr)
	require.Equal(t, op, opErr.Op)
	require.Equal(t, "tcp", opErr.Net)
	require.Equal(t, want[0] == os.ErrDeadlineExceeded, opErr.Timeout())
	for _, w := range want {
		if opErr.Err == w || unwrapped(opErr.Err) == w {
			return
		}
	}
	t.Fatalf("got %v (%T), want one of %v", err, opErr.Err, want)
}

func unwrapped(err error) error {
	if sys, ok := err.(*os.SyscallError); ok { //nolint:errorlint // exactly this layer
		return sys.Err
	}
	return err
}

func TestWrite_SucceedsWithoutAReader(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b conn, _ func()) {
		harness.Write(t, a, "one ")
		harness.Write(t, a, "two")
		harness.Write(t, b, "three")
		harness.Read(t, b, "one two")
		harness.Read(t, a, "three")
	})
}

func TestWrite_BlocksWhenThePeerStopsReadingUntilItsDeadline(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b conn, _ func()) {
		require.NoError(t, a.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
		n, err := fill(a)
		requireOpError(t, err, "write", os.ErrDeadlineExceeded)
		require.Positive(t, n)
		require.NoError(t, a.SetWriteDeadline(time.Time{}))
		done := later(func() error { _, err := a.Write([]byte("!")); return err })
		got := make([]byte, n+1)
		_, err = io.ReadFull(b, got)
		require.NoError(t, err)
		require.Equal(t, byte('!'), got[n], "what was not counted was not written")
		require.NoError(t, harness.Next(t, done))
	})
}

func TestCloseWrite_EndsOneDirection(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b conn, _ func()) {
		harness.Write(t, a, "last")
		require.NoError(t, a.CloseWrite())
		require.NoError(t, a.CloseWrite())
		harness.Read(t, b, "last")
		for range 2 {
			_, err := b.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
		}
		harness.Write(t, b, "reply")
		harness.Read(t, a, "reply")
		_, err := a.Write([]byte("more"))
		requireOpError(t, err, "write", syscall.EPIPE)
	})
}

func TestReset_FailsReadsAndWrites(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b conn, settle func()) {
		read := later(readOne(b))
		settle()
		require.NoError(t, a.SetLinger(0))
		require.NoError(t, a.Close())
		requireOpError(t, harness.Next(t, read), "read", syscall.ECONNRESET)
		_, err := b.Write([]byte("more"))
		requireOpError(t, err, "write", syscall.ECONNRESET, syscall.EPIPE)
		require.NoError(t, b.Close())
	})
}

func TestReset_EndsAWriteThatBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b conn, settle func()) {
		write := later(func() error { _, err := fill(b); return err })
		settle()
		require.NoError(t, a.SetLinger(0))
		require.NoError(t, a.Close())
		requireOpError(t, harness.Next(t, write), "write", syscall.ECONNRESET, syscall.EPIPE)
	})
}

func TestClose_WithUnreadInputIsAReset(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b conn, _ func()) {
		harness.Write(t, a, "two")
		harness.Read(t, b, "tw") // the rest has arrived
		require.NoError(t, b.Close())
		requireOpError(t, readOne(a)(), "read", syscall.ECONNRESET)
	})
}

func TestClose_WithoutUnreadInputIsTheEndOfTheStream(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b conn, _ func()) {
		harness.Write(t, a, "question")
		harness.Read(t, b, "question")
		harness.Write(t, b, "answer")
		require.NoError(t, b.Close())
		got, err := io.ReadAll(a)
		require.NoError(t, err)
		require.Equal(t, "answer", string(got))
		_, err = a.Write([]byte("x"))
		require.NoError(t, err, "only its answer is the reset")
		_, err = fill(a)
		requireOpError(t, err, "write", syscall.EPIPE, syscall.ECONNRESET)
		require.Equal(t, io.EOF, readOne(a)())
	})
}

func TestClose_EndsItsOwnCalls(t *testing.T) {
	onBoth(t, func(t *testing.T, a, _ conn, settle func()) {
		read := later(readOne(a))
		write := later(func() error { _, err := fill(a); return err })
		settle()
		require.NoError(t, a.Close())
		requireOpError(t, harness.Next(t, read), "read", net.ErrClosed)
		requireOpError(t, harness.Next(t, write), "write", net.ErrClosed)
		requireOpError(t, readOne(a)(), "read", net.ErrClosed)
		_, err := a.Write(nil)
		requireOpError(t, err, "write", net.ErrClosed)
		requireOpError(t, a.Close(), "close", net.ErrClosed)
		requireOpError(t, a.CloseWrite(), "close", net.ErrClosed)
		requireOpError(t, a.SetDeadline(time.Now()), "set", net.ErrClosed)
		requireOpError(t, a.SetLinger(0), "set", net.ErrClosed)
		requireOpError(t, a.SetReadBuffer(1<<16), "set", net.ErrClosed)
	})
}

func TestDeadline_InThePastFailsAtOnceAndZeroRemovesIt(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b conn, _ func()) {
		harness.Write(t, b, "there")
		require.NoError(t, a.SetDeadline(time.Now().Add(-time.Second)))
		n, err := a.Read(make([]byte, 1))
		requireOpError(t, err, "read", os.ErrDeadlineExceeded)
		require.Zero(t, n)
		n, err = a.Write([]byte("x"))
		requireOpError(t, err, "write", os.ErrDeadlineExceeded)
		require.Zero(t, n)
		n, err = a.Read(nil)
		require.NoError(t, err)
		require.Zero(t, n)
		require.NoError(t, a.SetDeadline(time.Time{}))
		harness.Write(t, a, "here")
		harness.Read(t, a, "there")
		harness.Read(t, b, "here")
	})
}

func TestDeadline_ChangesWhileACallBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b conn, settle func()) {
		_, err := fillUntilFull(a)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, a.SetDeadline(time.Now().Add(time.Hour)))
		read := later(readOne(a))
		write := later(func() error { _, err := fill(a); return err })
		settle()
		require.NoError(t, a.SetReadDeadline(time.Now().Add(time.Millisecond)))
		requireOpError(t, harness.Next(t, read), "read", os.ErrDeadlineExceeded)
		require.Empty(t, write)
		require.NoError(t, a.SetWriteDeadline(time.Now().Add(-time.Millisecond)))
		requireOpError(t, harness.Next(t, write), "write", os.ErrDeadlineExceeded)

		require.NoError(t, a.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		read = later(readOne(a))
		settle()
		require.NoError(t, a.SetReadDeadline(time.Time{}))
		time.Sleep(40 * time.Millisecond)
		harness.Write(t, b, "x")
		err = harness.Next(t, read)
		if !isSocket(a) { // on a busy machine the socket's may have passed
			require.NoError(t, err, "it was removed in time")
		}
	})
}

func isSocket(c net.Conn) bool { _, ok := c.(*net.TCPConn); return ok }

func fillUntilFull(c net.Conn) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)) // an error comes again at the write
	return fill(c)
}

func TestWrite_DoesNotInterleave(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b conn, _ func()) {
		const writers, size = 8, 200_000
		var group sync.WaitGroup
		for i := range writers {
			group.Go(func() { _, _ = a.Write(bytes.Repeat([]byte{byte('a' + i)}, size)) })
		}
		go func() { group.Wait(); _ = a.CloseWrite() }() // ends when all is read below
		got, err := io.ReadAll(b)
		require.NoError(t, err)
		require.Len(t, got, writers*size)
		for run := range writers {
			part := got[run*size : (run+1)*size]
			require.Equal(t, size, bytes.Count(part, part[:1]), "at %d", run*size)
		}
	})
}

// One Write waits for room, there is some, and another comes before it has woken up.
func TestWrite_DoesNotOvertakeOneThatBlocks(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			l := tcptest.Listen()
			a, err := l.Dial()
			require.NoError(t, err)
			b, err := l.Accept()
			require.NoError(t, err)
			first := bytes.Repeat([]byte("a"), 100_000)
			done := later(func() error { _, err := a.Write(first); return err })
			synctest.Wait()
			got := make([]byte, 1<<10)
			_, err = io.ReadFull(b, got)
			require.NoError(t, err)
			second := later(func() error { _, err := io.ReadFull(b, make([]byte, len(first)-len(got))); return err })
			_, err = a.Write([]byte("b"))
			require.NoError(t, err)
			require.NoError(t, harness.Next(t, done))
			require.NoError(t, harness.Next(t, second))
			harness.Read(t, b, "b")
		})
	}
}

func TestAddresses_AreThoseOfTCP(t *testing.T) {
	onBoth(t, func(t *testing.T, a, b conn, _ func()) {
		require.Equal(t, a.LocalAddr().String(), b.RemoteAddr().String())
		require.Equal(t, b.LocalAddr().String(), a.RemoteAddr().String())
		local, remote := a.LocalAddr().(*net.TCPAddr), a.RemoteAddr().(*net.TCPAddr)
		require.NotEqual(t, local.Port, remote.Port)
		require.True(t, local.IP.IsLoopback())
		require.Equal(t, "tcp", local.Network())
	})
}
