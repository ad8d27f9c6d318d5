package tcp_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// serverCalling is an echo server that calls f in one callback of its first session,
// which must send "trip".
func serverCalling(callback string, f func()) *tcp.Server {
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
		harness.EchoLine(s, p)
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

func TestPanic_InACallbackEndsOneSessionAlone(t *testing.T) {
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
			var log harness.LogBuffer
			srv := serverCalling(tt.callback, func() { panic(boom) })
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
			dial := harness.ListenTCP(t, srv)
			c := dial()
			_, _ = io.WriteString(c, "trip\n")
			if tt.callback == "OnSessionClosed" {
				harness.Read(t, c, "trip\n")
				s, _ := srv.Session(1)
				s.Close("bye")
			}
			require.Equal(t, tt.reason, harness.Next(t, closed))
			harness.WaitClosed(t, c)
			err := harness.Next(t, told)
			var p *tcp.PanicError
			require.ErrorAs(t, err, &p)
			require.NotEmpty(t, p.Stack)
			if tt.callback != "OnError" {
				require.ErrorIs(t, err, boom)
			}
			other := dial()
			harness.Write(t, other, "hi\n")
			harness.Read(t, other, "hi\n")
			require.Empty(t, closed)
			require.Contains(t, log.String(), "boom")
			require.Contains(t, log.String(), "panic_test.go", "the stack names where it happened")
			require.NotContains(t, log.String(), "trip", "what a session sends is never logged")
		})
	}
}

func TestGoexit_InACallbackEndsOneSessionAndTheCountsBalance(t *testing.T) {
	for _, callback := range []string{"OnNewSessionRegister", "OnMessage", "Split", "OnError", "OnSessionClosed"} {
		t.Run(callback, func(t *testing.T) {
			srv := serverCalling(callback, runtime.Goexit)
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
			dial := harness.ListenTCP(t, srv)
			c := dial()
			_, _ = io.WriteString(c, "trip\n")
			if callback == "OnSessionClosed" {
				harness.Read(t, c, "trip\n")
				require.NoError(t, c.Close())
				require.Equal(t, tcp.ReasonEOF, harness.Next(t, closed))
				return // the test is that Shutdown returns
			}
			require.Equal(t, tcp.ReasonPanic, harness.Next(t, closed))
			harness.WaitClosed(t, c)
			if err := harness.Next(t, told); callback != "OnError" {
				require.ErrorIs(t, err, tcp.ErrGoexit)
			}
		})
	}
}

func TestPanic_AfterACloseIsStillReported(t *testing.T) {
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
		s.Close("bye")
		panic("after the close")
	}}
	e := watch(srv)
	harness.Write(t, harness.ListenTCP(t, srv)(), "x\n")
	require.Equal(t, pool.Reason("bye"), harness.Next(t, e.closed))
	require.ErrorContains(t, harness.Next(t, e.errors), "after the close")
}
