package sessionwheel_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

func TestAPeerThatClosesIsNoError(t *testing.T) {
	tcpOverBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{}
		e := tcpWatch(srv)
		c := listen(t, srv)()
		tcpWrite(t, c, "one\nlast line without its end")
		require.NoError(t, c.Close())
		require.Equal(t, "one", tcpNext(t, e.messages))
		require.Equal(t, "last line without its end", tcpNext(t, e.messages))
		require.Equal(t, tcp.ReasonEOF, tcpNext(t, e.closed))
		require.Empty(t, e.errors)
	})
}

func TestAPeerThatClosesItsSideStillGetsTheReplies(t *testing.T) {
	srv := &tcp.Server{OnMessage: tcpEcho}
	e := tcpWatch(srv)
	c := tcpListen(t, srv)()
	tcpWrite(t, c, "a\nb")
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	tcpRead(t, c, "a\nb\n")
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, tcp.ReasonEOF, tcpNext(t, e.closed))
}

func TestAReadErrorIsToldOnce(t *testing.T) {
	srv := &tcp.Server{}
	e := tcpWatch(srv)
	c := tcpListen(t, srv)()
	tcpNext(t, e.opened)
	require.NoError(t, c.(*net.TCPConn).SetLinger(0)) // closing resets the connection
	require.NoError(t, c.Close())
	require.Equal(t, tcp.ReasonError, tcpNext(t, e.closed))
	err := tcpNext(t, e.errors)
	require.ErrorIs(t, err, tcp.ErrRead)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Empty(t, e.errors)
}

func TestATrickleOfBytesDoesNotHoldAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: time.Hour, FrameTimeout: 10 * time.Second}
		e := tcpWatch(srv)
		c := tcpPiped(t, srv)()
		start := time.Now()
		for err := error(nil); err == nil; time.Sleep(time.Second) {
			require.LessOrEqual(t, time.Since(start), 11*time.Second)
			_, err = c.Write([]byte("x"))
		}
		require.Equal(t, tcp.ReasonFrameTimeout, tcpNext(t, e.closed))
		require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrFrameTimeout)
	})
}

func TestATrickleOverASocketDoesNotHoldIt(t *testing.T) {
	srv := &tcp.Server{IdleTimeout: time.Hour, FrameTimeout: 100 * time.Millisecond}
	e := tcpWatch(srv)
	c := tcpListen(t, srv)()
	for len(e.closed) == 0 {
		_, _ = c.Write([]byte("x"))
		time.Sleep(5 * time.Millisecond)
	}
	require.Equal(t, tcp.ReasonFrameTimeout, tcpNext(t, e.closed))
	require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrFrameTimeout)
}

func TestEachFrameHasItsOwnFrameTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: time.Hour, FrameTimeout: 10 * time.Second}
		e := tcpWatch(srv)
		c := tcpPiped(t, srv)()
		// Each part ends one frame and begins the next: never idle, never late.
		tcpWrite(t, c, "begin")
		for range 10 {
			time.Sleep(8 * time.Second)
			tcpWrite(t, c, "end\nbegin")
			require.Equal(t, "beginend", tcpNext(t, e.messages))
		}
		time.Sleep(8 * time.Second)
		tcpWrite(t, c, "end\n")
		require.Equal(t, "beginend", tcpNext(t, e.messages))
		time.Sleep(59 * time.Minute) // nothing is pending: no frame can be late
		tcpWrite(t, c, "whole\n")
		require.Equal(t, "whole", tcpNext(t, e.messages))
		require.Empty(t, e.closed)
	})
}

func TestAWholeFrameEndsTheFrameTimeoutOfASocket(t *testing.T) {
	const frameTimeout = 2 * time.Second
	srv := &tcp.Server{FrameTimeout: frameTimeout}
	e := tcpWatch(srv)
	c := tcpListen(t, srv)()
	tcpNext(t, e.opened)
	tcpWrite(t, c, "begin")
	time.Sleep(20 * time.Millisecond)
	tcpWrite(t, c, "end\n")
	require.Equal(t, "beginend", tcpNext(t, e.messages))
	time.Sleep(frameTimeout + 500*time.Millisecond)
	tcpWrite(t, c, "whole\n")
	require.Equal(t, "whole", tcpNext(t, e.messages))
	require.Empty(t, e.closed)
}

func TestAPeerThatDoesNotReadIsClosedAsSlow(t *testing.T) {
	tcpOverBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		sent := make(chan error, 1)
		srv := &tcp.Server{
			WriteTimeout: 100 * time.Millisecond,
			OnMessage: func(s *tcp.Session, _ []byte) {
				var err error
				for chunk := make([]byte, 1<<20); err == nil; {
					err = s.Send(chunk)
				}
				sent <- err
			},
		}
		e := tcpWatch(srv)
		dial := listen(t, srv)
		tcpWrite(t, dial(), "flood me\n")
		require.ErrorIs(t, tcpNext(t, sent), tcp.ErrSlow)
		require.Equal(t, tcp.ReasonSlow, tcpNext(t, e.closed))
		require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrSlow)
	})
}

func TestASlowPeerThatReadsAgainIsNotClosed(t *testing.T) {
	const (
		size         = 8 << 20
		writeTimeout = 3 * time.Second
	)
	srv := &tcp.Server{
		WriteTimeout: writeTimeout,
		OnMessage:    func(s *tcp.Session, _ []byte) { _ = s.Send(make([]byte, size)) },
	}
	e := tcpWatch(srv)
	c := tcpListen(t, srv)()
	for _, pause := range []time.Duration{0, writeTimeout + 500*time.Millisecond} {
		time.Sleep(pause) // the deadline of one Send does not outlive it
		tcpWrite(t, c, "more\n")
		time.Sleep(50 * time.Millisecond) // the socket fills
		n, err := io.CopyN(io.Discard, c, size)
		require.NoError(t, err, "after %d bytes", n)
	}
	require.Empty(t, e.closed)
	require.Empty(t, e.errors)
}

func TestASlowPeerDelaysNobodyElse(t *testing.T) {
	srv := &tcp.Server{WriteTimeout: -1, OnMessage: func(s *tcp.Session, p []byte) {
		for string(p) == "flood me" && s.Send(make([]byte, 1<<20)) == nil {
			continue
		}
		tcpEcho(s, p)
	}}
	e := tcpWatch(srv)
	dial := tcpListen(t, srv)
	tcpWrite(t, dial(), "flood me\n")
	stuck := tcpNext(t, e.opened)
	c := dial()
	for range 100 {
		tcpWrite(t, c, "hi\n")
		tcpRead(t, c, "hi\n")
	}
	require.True(t, stuck.Close("by hand"), "a Send without a timeout does not block Close")
	require.Equal(t, pool.Reason("by hand"), tcpNext(t, e.closed))
	require.Empty(t, e.errors)
}

func TestAWriteErrorClosesWithError(t *testing.T) {
	sent := make(chan error, 1)
	gone := make(chan struct{})
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
		<-gone
		var err error
		for err == nil {
			err = s.Send([]byte("anybody there?\n"))
		}
		sent <- err
	}}
	e := tcpWatch(srv)
	c := tcpListen(t, srv)()
	tcpWrite(t, c, "x\n")
	tcpNext(t, e.opened)
	require.NoError(t, c.(*net.TCPConn).SetLinger(0))
	require.NoError(t, c.Close())
	close(gone)
	require.ErrorIs(t, tcpNext(t, sent), tcp.ErrWrite)
	require.Equal(t, tcp.ReasonError, tcpNext(t, e.closed))
	require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrWrite)
}

// tcpTrip is an echo server that calls f in one callback of its first session,
// which must send "trip".
func tcpTrip(callback string, f func()) *tcp.Server {
	trip := func(where string) {
		if where == callback {
			f()
		}
	}
	srv := &tcp.Server{}
	srv.OnNewSessionRegister = func(s *tcp.Session) {
		if s.ID() == 1 {
			trip("OnNewSessionRegister")
		}
	}
	srv.OnMessage = func(s *tcp.Session, p []byte) {
		if s.ID() == 1 {
			trip("OnMessage")
			if callback == "OnError" {
				panic("so that there is an error")
			}
		}
		tcpEcho(s, p)
	}
	if callback == "Split" {
		srv.Split = func(data []byte, atEOF bool) (int, []byte, error) {
			if bytes.HasPrefix(data, []byte("trip")) {
				f()
			}
			return bufio.ScanLines(data, atEOF)
		}
	}
	return srv
}

func TestAPanicInACallbackEndsOneSessionAlone(t *testing.T) {
	for _, tt := range []struct {
		callback string
		reason   pool.Reason
	}{
		{"OnNewSessionRegister", tcp.ReasonPanic},
		{"OnMessage", tcp.ReasonPanic},
		{"Split", tcp.ReasonPanic},
		{"OnError", tcp.ReasonPanic},
		{"OnSessionClosed", "bye"},
	} {
		t.Run(tt.callback, func(t *testing.T) {
			boom := errors.New("boom")
			var log tcpLogBuffer
			srv := tcpTrip(tt.callback, func() { panic(boom) })
			srv.Logger = slog.New(slog.NewTextHandler(&log, nil))
			told := make(chan error, 10)
			srv.OnError = func(_ *tcp.Session, err error) {
				told <- err
				if tt.callback == "OnError" {
					panic(boom)
				}
			}
			closed := make(chan pool.Reason, 10)
			srv.OnSessionClosed = func(s *tcp.Session, r pool.Reason) {
				closed <- r
				if s.ID() == 1 && tt.callback == "OnSessionClosed" {
					panic(boom)
				}
			}
			dial := tcpListen(t, srv)
			c := dial()
			_, _ = io.WriteString(c, "trip\n")
			if tt.callback == "OnSessionClosed" {
				tcpRead(t, c, "trip\n")
				s, _ := srv.Session(1)
				s.Close("bye")
			}
			require.Equal(t, tt.reason, tcpNext(t, closed))
			tcpGone(t, c)
			err := tcpNext(t, told)
			var p *tcp.PanicError
			require.ErrorAs(t, err, &p)
			require.NotEmpty(t, p.Stack)
			if tt.callback != "OnError" {
				require.ErrorIs(t, err, boom)
			}
			other := dial()
			tcpWrite(t, other, "hi\n")
			tcpRead(t, other, "hi\n")
			require.Empty(t, closed)
			require.Contains(t, log.String(), "boom")
			require.Contains(t, log.String(), "tcp_faults_test.go", "the stack names where it happened")
			require.NotContains(t, log.String(), "trip", "what a session sends is never logged")
		})
	}
}

func TestGoexitInACallbackEndsOneSessionAndKeepsTheBooks(t *testing.T) {
	for _, callback := range []string{"OnNewSessionRegister", "OnMessage", "Split", "OnError", "OnSessionClosed"} {
		t.Run(callback, func(t *testing.T) {
			srv := tcpTrip(callback, runtime.Goexit)
			told := make(chan error, 10)
			srv.OnError = func(_ *tcp.Session, err error) {
				told <- err
				if callback == "OnError" {
					runtime.Goexit()
				}
			}
			closed := make(chan pool.Reason, 10)
			srv.OnSessionClosed = func(_ *tcp.Session, r pool.Reason) {
				closed <- r
				if callback == "OnSessionClosed" {
					runtime.Goexit()
				}
			}
			dial := tcpListen(t, srv)
			c := dial()
			_, _ = io.WriteString(c, "trip\n")
			if callback == "OnSessionClosed" {
				tcpRead(t, c, "trip\n")
				require.NoError(t, c.Close())
				require.Equal(t, tcp.ReasonEOF, tcpNext(t, closed))
				return // that Shutdown does not wait for ever is the test
			}
			require.Equal(t, tcp.ReasonPanic, tcpNext(t, closed))
			tcpGone(t, c)
			if err := tcpNext(t, told); callback != "OnError" {
				require.ErrorIs(t, err, tcp.ErrGoexit)
			}
		})
	}
}

func TestAPanicAfterACloseIsStillTold(t *testing.T) {
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
		s.Close("bye")
		panic("after the close")
	}}
	e := tcpWatch(srv)
	tcpWrite(t, tcpListen(t, srv)(), "x\n")
	require.Equal(t, pool.Reason("bye"), tcpNext(t, e.closed))
	require.ErrorContains(t, tcpNext(t, e.errors), "after the close")
}

// tcpFailing is a listener that fails in a passing way a few times before each
// connection.
type tcpFailing struct {
	*tcpPipes
	fails int
	at    chan time.Time // of each try
}

func (l *tcpFailing) Accept() (net.Conn, error) {
	l.at <- time.Now()
	if l.fails > 0 {
		l.fails--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", syscall.EMFILE)}
	}
	return l.tcpPipes.Accept()
}

func TestPassingAcceptErrorsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const fails = 10
		l := &tcpFailing{tcpPipes: &tcpPipes{make(chan net.Conn), make(chan struct{})}, fails: fails, at: make(chan time.Time, 100)}
		srv := &tcp.Server{}
		sessions := make(chan *tcp.Session, 100)
		srv.OnError = func(s *tcp.Session, err error) {
			require.ErrorIs(t, err, syscall.EMFILE)
			sessions <- s
			if len(sessions) == 3 {
				panic("the listener outlives it")
			}
		}
		e := tcpWatch(srv)
		tcpServe(t, srv, l)
		mine, theirs := net.Pipe()
		l.conns <- theirs
		tcpWrite(t, mine, "hi\n")
		require.Equal(t, "hi", tcpNext(t, e.messages))
		require.NoError(t, mine.Close())
		for range fails {
			require.Nil(t, tcpNext(t, sessions))
		}
		last, want := tcpNext(t, l.at), 5*time.Millisecond
		for i := range fails {
			at := tcpNext(t, l.at)
			require.Equal(t, want, at.Sub(last), "before try %d", i+2)
			last, want = at, min(2*want, time.Second)
		}
		require.EqualValues(t, fails, srv.Traffic().AcceptErrors)
	})
}

func TestServeReturnsAnErrorThatDoesNotPassAndSessionsGoOn(t *testing.T) {
	srv := &tcp.Server{OnMessage: tcpEcho}
	e := tcpWatch(srv)
	first, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(first) }()
	c, err := net.Dial("tcp", first.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	tcpNext(t, e.opened)
	require.NoError(t, first.Close())
	require.ErrorIs(t, tcpNext(t, served), net.ErrClosed)
	tcpListen(t, srv)() // another listener of the same server
	require.EqualValues(t, 2, tcpNext(t, e.opened).ID())
	tcpWrite(t, c, "still here\n")
	tcpRead(t, c, "still here\n")
}

// tcpLogBuffer is a bytes.Buffer for several goroutines.
type tcpLogBuffer struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

func (b *tcpLogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *tcpLogBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestTheLogSaysHowASessionEndedAndNothingOfWhatItSent(t *testing.T) {
	var log tcpLogBuffer
	srv := &tcp.Server{
		Logger:   slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		MaxFrame: 10,
	}
	e := tcpWatch(srv)
	c := tcpListen(t, srv)()
	tcpWrite(t, c, "secret1\nsecret2\nsecret3secret4")
	require.Equal(t, tcp.ReasonTooLarge, tcpNext(t, e.closed))
	for _, want := range []string{
		"session opened", "session closed", "session=1", "remote=" + c.LocalAddr().String(),
		"reason=TooLarge", "frames=2", "idle=", "age=", "error=",
	} {
		require.Contains(t, log.String(), want)
	}
	require.NotContains(t, log.String(), "secret")
	require.NotEmpty(t, fmt.Sprint(tcpNext(t, e.errors)))
}
