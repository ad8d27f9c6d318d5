package dashboard_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/internal/pipes"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// limitedSite is an HTTP server with the limits of dashboard.Limit, over net.Pipes,
// which hold nothing: what is not read is not written.
type limitedSite struct{ conns chan net.Conn }

func serveLimited(t *testing.T, handler http.HandlerFunc, connections int) limitedSite {
	t.Helper()
	l := pipes.New()
	srv := &http.Server{Handler: handler}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(dashboard.Limit(srv, l, connections)) }() // ends with Close, waited for by the cleanup
	t.Cleanup(func() {
		require.NoError(t, srv.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		time.Sleep(time.Second) // net/http waits before it closes a connection after an error
	})
	return limitedSite{l.Conns}
}

// dial connects, and sends what it is given while the server reads it.
func (s limitedSite) dial(t *testing.T, sent string) net.Conn {
	t.Helper()
	mine, theirs := net.Pipe()
	t.Cleanup(func() { _ = mine.Close() })
	go func() { // ends with the connection
		select {
		case s.conns <- theirs:
			_, _ = io.WriteString(mine, sent)
		case <-t.Context().Done():
		}
	}()
	return mine
}

const anyRequest = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

// ends returns when the server closed a connection, after what it sent was read.
func ends(t *testing.T, conn net.Conn) time.Time {
	t.Helper()
	_, err := io.Copy(io.Discard, conn)
	require.NoError(t, err)
	return time.Now()
}

func long(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write(make([]byte, 1<<20))
}

func TestLimit_AnAnswerThatNobodyReadsIsGivenUp(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		took := make(chan time.Duration, 1)
		site := serveLimited(t, func(w http.ResponseWriter, r *http.Request) {
			began := time.Now()
			long(w, r)
			took <- time.Since(began)
		}, 0)
		conn := site.dial(t, anyRequest)
		line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, "200")
		require.InDelta(t, 7.5, (<-took).Seconds(), 2.5)
	})
}

func TestLimit_AnAnswerThatIsReadSlowlyComesWhole(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		site := serveLimited(t, long, 0)
		conn := site.dial(t, anyRequest)
		began, got := time.Now(), 0
		for p := make([]byte, 10_000); got < 1<<20; time.Sleep(4 * time.Second) {
			n, err := conn.Read(p)
			require.NoError(t, err, "after %d bytes", got)
			got += n
		}
		require.Greater(t, time.Since(began), 5*time.Minute)
	})
}

func TestLimit_ARequestMustArriveAndAConnectionMustBeUsed(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		took := make(chan time.Duration, 1)
		site := serveLimited(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					t.Error("a body that is not whole was read")
				}
				return
			}
			before := time.Now()
			select { // longer than any limit for reading
			case <-time.After(time.Minute):
			case <-r.Context().Done():
			}
			took <- time.Since(before)
		}, 0)
		began := time.Now()
		require.Equal(t, 5*time.Second, ends(t, site.dial(t, "")).Sub(began), "no request")
		began = time.Now()
		require.Equal(t, 5*time.Second, ends(t, site.dial(t, "GET / HTTP/1.1\r\nX:")).Sub(began), "part of a header")
		began = time.Now()
		body := "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx"
		require.InDelta(t, 10, ends(t, site.dial(t, body)).Sub(began).Seconds(), 1, "part of a body")
		began = time.Now()
		require.InDelta(t, 120, ends(t, site.dial(t, anyRequest)).Sub(began).Seconds(), 1, "a request that is answered, and then nothing")
		require.Equal(t, time.Minute, <-took, "an answer may take long")
		conn := site.dial(t, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 64<<10))
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, "431")
	})
}

func TestLimit_NobodyIsKeptOutByConnectionsThatDoNothing(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		site := serveLimited(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/events" {
				for r.Context().Err() == nil {
					_, _ = io.WriteString(w, "event\n")
					_ = http.NewResponseController(w).Flush()
					time.Sleep(500 * time.Millisecond)
				}
				return
			}
			long(w, r)
		}, 4)
		stream := site.dial(t, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
		events := bufio.NewReader(stream)
		_, err := events.ReadString('\n')
		require.NoError(t, err)
		streamed := make(chan error, 1)
		go func() { _, err := io.Copy(io.Discard, events); streamed <- err }() // ends with the connection, waited for below
		for range 20 {
			site.dial(t, anyRequest+anyRequest) // and reads nothing
		}
		synctest.Wait() // they come first
		began := time.Now()
		for range 3 {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
				return site.dial(t, ""), nil
			}}}
			answer, err := client.Get("http://localhost/")
			require.NoError(t, err)
			n, err := io.Copy(io.Discard, answer.Body)
			require.NoError(t, err)
			require.EqualValues(t, 1<<20, n)
			require.NoError(t, answer.Body.Close())
		}
		require.LessOrEqual(t, time.Since(began), 10*time.Second)
		require.Empty(t, streamed, "a connection that is used keeps its place")
		require.NoError(t, stream.Close())
		<-streamed
	})
}

func TestLimit_ANegativeNumberOfConnectionsIsNoLimit(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		inner := pipes.New()
		l := dashboard.Limit(new(http.Server), inner, -1)
		for range 300 {
			go func() { defer inner.Dial().Close() }() // ends when it is accepted
			c, err := l.Accept()
			require.NoError(t, err)
			defer c.Close()
		}
		require.NoError(t, l.Close())
	})
}

// The limits are also those of connections that wait to be accepted.
func TestLimit_ItsListenerEndsWhileAConnectionWaitsForAPlace(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		inner := pipes.New()
		l := dashboard.Limit(new(http.Server), inner, 1)
		accepted := make(chan error, 2)
		go func() { // ends below
			for range 2 {
				c, err := l.Accept()
				if err == nil {
					defer c.Close()
				}
				accepted <- err
			}
		}()
		var waiting net.Conn
		for range 2 {
			mine, theirs := net.Pipe()
			defer mine.Close()
			inner.Conns <- theirs
			waiting = mine
		}
		synctest.Wait()
		require.NoError(t, <-accepted)
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-accepted, net.ErrClosed)
		harness.WaitClosed(t, waiting)
	})
}

// Without the limit, the kernel buffers some megabytes for each.
func TestLimit_TheKernelKeepsLittleForAPeerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := dashboard.Limit(new(http.Server), inner, 0)
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer peer.Close()
	require.NoError(t, peer.(*net.TCPConn).SetReadBuffer(4096))
	c, err := l.Accept()
	require.NoError(t, err)
	defer c.Close()
	written := 0
	for err == nil {
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(500*time.Millisecond)))
		var n int
		n, err = c.Write(make([]byte, 8<<10))
		written += n
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Less(t, written, 512<<10)
}
