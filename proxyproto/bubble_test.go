package proxyproto

import (
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pipes is a listener that accepts the connections and errors sent to results.
type pipes struct {
	results chan result
	closed  chan struct{}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case r := <-l.results:
		return r.conn, r.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *pipes) Close() error   { close(l.closed); return errClose }
func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

var errClose = errors.New("the underlying listener's error")

// pipeConn is a pipe whose peer has the address 127.0.0.1.
type pipeConn struct{ net.Conn }

func (pipeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// piped returns a Listener on top of pipes. connect makes a connection to it and
// returns the peer's end.
func piped(t *testing.T, c Config) (l *Listener, inner *pipes, connect func() net.Conn) {
	t.Helper()
	inner = &pipes{make(chan result), make(chan struct{})}
	c.Trusted = loopback
	l, err := New(inner, c)
	require.NoError(t, err)
	return l, inner, func() net.Conn {
		mine, theirs := net.Pipe()
		inner.results <- result{pipeConn{theirs}, nil}
		return mine
	}
}

func TestHeaderTimeout_IsNotExtendedByBytesOfTheHeader(t *testing.T) {
	for _, timeout := range []time.Duration{0, 7 * time.Second} {
		for _, trickle := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				told := make(chan error, 1)
				l, _, connect := piped(t, Config{HeaderTimeout: timeout, OnError: func(err error) { told <- err }})
				c := connect()
				start := time.Now()
				if trickle {
					go func() { // ends when the connection is closed
						for err := error(nil); err == nil; time.Sleep(600 * time.Millisecond) { // never at the moment of the timeout
							_, err = c.Write([]byte("PROXY TCP4 1.1.1.1")[:1])
						}
					}()
				}
				_, err := io.Copy(io.Discard, c)
				require.NoError(t, err)
				want := timeout
				if want == 0 {
					want = 5 * time.Second
				}
				require.Equal(t, want, time.Since(start))
				require.ErrorIs(t, <-told, ErrHeaderTimeout)
				require.ErrorIs(t, l.Close(), errClose)
				time.Sleep(time.Minute)
			})
		}
	}
}

func TestHeaderTimeout_EndsWithTheHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, connect := piped(t, Config{})
		mine := connect()
		time.Sleep(4 * time.Second)
		send(t, mine, headers[0].header)
		c, err := l.Accept()
		require.NoError(t, err)
		go func() {
			time.Sleep(time.Hour)
			_, _ = io.WriteString(mine, "hello")
		}()
		p := make([]byte, 5)
		_, err = io.ReadFull(c, p)
		require.NoError(t, err)
		require.Equal(t, "hello", string(p))
		require.NoError(t, c.Close())
		require.ErrorIs(t, l.Close(), errClose)
		require.ErrorIs(t, l.Close(), errClose, "again")
	})
}

func TestMaxWaiting_LeavesEachConnectionASecondForItsHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan error, 1)
		l, _, connect := piped(t, Config{MaxWaiting: 2, OnError: func(err error) { told <- err }})
		start := time.Now()
		first := connect()
		time.Sleep(800 * time.Millisecond)
		second := connect()
		third := connect()
		_, err := io.Copy(io.Discard, first)
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(start))
		require.ErrorIs(t, <-told, ErrTooManyWaiting)
		for _, c := range []net.Conn{second, third} {
			send(t, c, headers[0].header)
			c, err := l.Accept()
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
		require.ErrorIs(t, l.Close(), errClose)
	})
}

func TestMaxWaiting_BoundsTheGoroutinesOfAFloodOfSilentConnections(t *testing.T) {
	const most, n = 10, 30
	synctest.Test(t, func(t *testing.T) {
		told := make(chan error, n)
		l, _, connect := piped(t, Config{HeaderTimeout: time.Hour, MaxWaiting: most, OnError: func(err error) { told <- err }})
		before := runtime.NumGoroutine()
		for range n {
			connect()
		}
		for range n - most {
			require.ErrorIs(t, <-told, ErrTooManyWaiting)
		}
		require.LessOrEqual(t, runtime.NumGoroutine(), before+most+5)
		send(t, connect(), headers[0].header)
		c, err := l.Accept()
		require.NoError(t, err)
		require.Equal(t, headers[0].remote, c.RemoteAddr().String())
		require.NoError(t, c.Close())
		require.ErrorIs(t, l.Close(), errClose)
	})
}

func TestAccept_ReturnsErrorsOfTheUnderlyingListenerAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, inner, connect := piped(t, Config{})
		passing := errors.New("too many open files")
		for range 3 {
			go func() { inner.results <- result{nil, passing} }()
			_, err := l.Accept()
			require.ErrorIs(t, err, passing)
		}
		mine := connect()
		send(t, mine, headers[0].header)
		c, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, c.Close())
		go func() { inner.results <- result{nil, passing} }() // no Accept takes it
		synctest.Wait()
		require.ErrorIs(t, l.Close(), errClose)
	})
}

func TestOnError_ReportsAPeerThatClosesWithinItsHeaderButNotBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan error, 2)
		l, _, connect := piped(t, Config{OnError: func(err error) { told <- err }})
		require.NoError(t, connect().Close())
		synctest.Wait()
		require.Empty(t, told)
		c := connect()
		send(t, c, "PROXY ")
		require.NoError(t, c.Close())
		synctest.Wait()
		require.Len(t, told, 1)
		err := <-told
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.ErrorContains(t, err, "127.0.0.1:1")
		require.ErrorIs(t, l.Close(), errClose)
	})
}

func TestClose_EndsAnAcceptThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, _ := piped(t, Config{})
		ended := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		synctest.Wait()
		require.ErrorIs(t, l.Close(), errClose)
		synctest.Wait()
		require.Len(t, ended, 1)
		require.ErrorIs(t, <-ended, net.ErrClosed)
	})
}

func TestClose_WaitsForOnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		l, _, connect := piped(t, Config{OnError: func(error) { <-gate }})
		send(t, connect(), "GET / HTTP/1.1\n")
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- l.Close() }()
		synctest.Wait()
		require.Empty(t, closed)
		close(gate)
		require.ErrorIs(t, <-closed, errClose)
	})
}
