package tcp_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestSetSplit_HoldsForInputThatIsBufferedAlready(t *testing.T) {
	overAll(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{}
		e := watch(srv)
		srv.OnMessage = func(s *tcp.Session, p []byte) {
			switch e.messages <- string(p); string(p) {
			case "words":
				s.SetSplit(bufio.ScanWords)
			case "lines":
				s.SetSplit(nil)
			}
		}
		c := listen(t, srv)()
		harness.Write(t, c, "a b\nwords\nc d lines e f\ng\n")
		for _, want := range []string{"a b", "words", "c", "d", "lines", "e f", "g"} {
			require.Equal(t, want, harness.Next(t, e.messages))
		}
	})
}

func TestSetMaxFrame_HoldsForTheSessionAlone(t *testing.T) {
	srv := &tcp.Server{MaxFrame: 100, OnMessage: func(s *tcp.Session, p []byte) {
		switch {
		case string(p) == "more":
			s.SetMaxFrame(100_000)
		case string(p) == "default":
			s.SetMaxFrame(0)
		}
		_ = s.Post([]byte("ok\n"))
	}}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	c := dial()
	harness.Write(t, c, "more\n"+strings.Repeat("x", 50_000)+"\ndefault\n")
	harness.Read(t, c, "ok\nok\nok\n")
	harness.Write(t, c, strings.Repeat("x", 101)+"\n")
	require.Equal(t, tcp.ReasonTooLarge, harness.Next(t, e.closed))
	other := dial()
	harness.Write(t, other, strings.Repeat("x", 101)+"\n")
	require.Equal(t, tcp.ReasonTooLarge, harness.Next(t, e.closed))
}

// amid is called amid a handshake, if a test has set it.
var amid atomic.Pointer[func()]

// startTLS is a server that upgrades with "STARTTLS".
func startTLS(t testing.TB) (srv *tcp.Server, client *tls.Config, upgraded chan error) {
	server, client := tlsConfigs(t)
	upgraded = make(chan error, 10)
	server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if f := amid.Load(); f != nil {
			done := make(chan struct{})
			go func() { (*f)(); close(done) }()
			<-done
		}
		return nil, nil
	}
	return &tcp.Server{OnMessage: func(s *tcp.Session, p []byte) {
		if string(p) != "STARTTLS" {
			postEcho(s, p)
			return
		}
		_ = s.Post([]byte("go ahead\n"))
		upgraded <- s.StartTLS(server)
	}}, client, upgraded
}

func TestStartTLS_EncryptsTheSession(t *testing.T) {
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv, client, upgraded := startTLS(t)
		e := watch(srv)
		c := listen(t, srv)()
		s := harness.Next(t, e.opened)
		push := func() { _ = s.Post([]byte("pushed meanwhile\n")) }
		amid.Store(&push)
		defer amid.Store(nil)
		harness.Write(t, c, "plain\nSTARTTLS\n")
		harness.Read(t, c, "plain\ngo ahead\n")
		_, ok := s.ConnectionState()
		require.False(t, ok)
		tc := tls.Client(c, client)
		require.NoError(t, tc.Handshake())
		require.NoError(t, harness.Next(t, upgraded))
		harness.Read(t, tc, "pushed meanwhile\n")
		harness.Write(t, tc, "secret\n")
		harness.Read(t, tc, "secret\n")
		state, ok := s.ConnectionState()
		require.True(t, ok && state.HandshakeComplete)
		harness.Write(t, tc, "STARTTLS\n")
		require.ErrorIs(t, harness.Next(t, upgraded), tcp.ErrSecure)
	})
}

// The injection that such servers are known for: a command in the same segment as STARTTLS,
// which the server would take for part of the encrypted stream.
func TestStartTLS_RefusesPendingPlainText(t *testing.T) {
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv, _, upgraded := startTLS(t)
		e := watch(srv)
		c := listen(t, srv)()
		harness.Write(t, c, "x") // so that both lines below are read together, of any connection
		time.Sleep(10 * time.Millisecond)
		harness.Write(t, c, "\nSTARTTLS\nINJECTED\n")
		require.ErrorIs(t, harness.Next(t, upgraded), tcp.ErrPendingInput)
		harness.Read(t, c, "x\ngo ahead\nINJECTED\n") // in plain text: the session is as it was
		require.Empty(t, e.closed)
	})
}

// A session on such a connection reads in a hurry what it is woken for, which does not hold for
// the handshake.
func TestStartTLS_OverAWrappedSocketWaitsForThePeer(t *testing.T) {
	srv, client, upgraded := startTLS(t)
	e := watch(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	harness.ServeTCP(t, srv, wrapping{l})
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	harness.Next(t, e.opened)
	time.Sleep(20 * time.Millisecond) // it is parked
	harness.Write(t, c, "STARTTLS\n")
	harness.Read(t, c, "go ahead\n")
	time.Sleep(20 * time.Millisecond)
	tc := tls.Client(c, client)
	require.NoError(t, tc.Handshake())
	require.NoError(t, harness.Next(t, upgraded))
	harness.Write(t, tc, "secret\n")
	harness.Read(t, tc, "secret\n")
}

// What comes later is taken for a handshake, which fails.
func TestStartTLS_NeverHandlesPlainTextThatComesLater(t *testing.T) {
	srv, _, upgraded := startTLS(t)
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "STARTTLS\n")
	harness.Read(t, c, "go ahead\n")
	harness.Write(t, c, "INJECTED\n")
	require.ErrorIs(t, harness.Next(t, upgraded), tcp.ErrHandshake)
	require.Equal(t, tcp.ReasonHandshake, harness.Next(t, e.closed))
	rest, _ := io.ReadAll(c)
	require.NotContains(t, string(rest), "INJECTED")
}

func TestStartTLS_IsBoundedByTheHandshakeTimeout(t *testing.T) {
	srv, _, upgraded := startTLS(t)
	srv.HandshakeTimeout = 50 * time.Millisecond
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "STARTTLS\n")
	require.ErrorIs(t, harness.Next(t, upgraded), tcp.ErrHandshake)
	require.Equal(t, tcp.ReasonHandshake, harness.Next(t, e.closed))
	_ = c
}

func TestStartTLS_OfASessionThatIsClosedMeanwhileIsErrSessionClosed(t *testing.T) {
	srv, client, upgraded := startTLS(t)
	srv.Farewell = farewell
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	s := harness.Next(t, e.opened)
	kick := func() { s.Close("Kicked") }
	amid.Store(&kick)
	defer amid.Store(nil)
	harness.Write(t, c, "STARTTLS\n")
	harness.Read(t, c, "go ahead\n")
	start := time.Now()
	var got bytes.Buffer
	_ = tls.Client(copied{c, &got}, client).Handshake() // the client may have done its part
	require.ErrorIs(t, harness.Next(t, upgraded), tcp.ErrSessionClosed)
	require.Equal(t, pool.Reason("Kicked"), harness.Next(t, e.closed))
	_, _ = io.Copy(&got, c)
	require.NotContains(t, got.String(), "bye", "no farewell in plain text amid a handshake")
	require.Less(t, time.Since(start), 9*time.Second, "HandshakeTimeout is 10 s")
}

// Callbacks of the config are code of the user's too.
func TestStartTLS_ACrashInItsConfigEndsTheSession(t *testing.T) {
	for name, crash := range map[string]func(){"panic": func() { panic("config") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			server, client := tlsConfigs(t)
			server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
				crash()
				return nil, nil
			}
			srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
				_ = s.Post([]byte("go ahead\n"))
				_ = s.StartTLS(server)
			}}
			e := watch(srv)
			c := harness.ListenTCP(t, srv)() // whose end waits for all that the session has started
			s := harness.Next(t, e.opened)
			harness.Write(t, c, "STARTTLS\n")
			harness.Read(t, c, "go ahead\n")
			require.Error(t, tls.Client(c, client).Handshake())
			require.Equal(t, tcp.ReasonPanic, harness.Next(t, e.closed))
			require.ErrorIs(t, s.Post([]byte("x")), tcp.ErrSessionClosed)
		})
	}
}

// copied is a connection of which everything that is read is copied.
type copied struct {
	net.Conn
	to *bytes.Buffer
}

func (c copied) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.to.Write(p[:n])
	return n, err
}
