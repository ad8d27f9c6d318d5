package tcp_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestContext_TellsACallbackThatItsSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, cause := make(chan struct{}), make(chan error, 1)
		srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
			require.NoError(t, s.Context().Err())
			require.Empty(t, s.Reason())
			close(began)
			<-s.Context().Done()
			require.Equal(t, pool.Reason("Kicked"), s.Reason())
			cause <- context.Cause(s.Context())
		}}
		events := watch(srv)
		harness.Write(t, harness.ListenPipes(t, srv)(), "x\n")
		<-began
		harness.Next(t, events.opened).Close("Kicked")
		var closed *pool.ClosedError
		require.ErrorAs(t, harness.Next(t, cause), &closed)
		require.Equal(t, pool.Reason("Kicked"), closed.Reason)
		require.Equal(t, pool.Reason("Kicked"), harness.Next(t, events.closed))
	})
}

func TestDone_IsTheEndOfTheLastCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{OnSessionClosed: func(*tcp.Session, pool.Reason) { time.Sleep(time.Minute) }}
		events := watch(srv)
		harness.ListenPipes(t, srv)()
		s := harness.Next(t, events.opened)
		require.NoError(t, s.Bind(t.Context(), "alice", nil))
		done := s.Done()
		began := time.Now()
		s.Close("Bye")
		select {
		case <-done:
			require.Fail(t, "OnSessionClosed has not returned")
		default:
		}
		require.Equal(t, 1, srv.Stats().Closing)
		<-done
		require.Zero(t, srv.Stats().Closing)
		require.Equal(t, time.Minute, time.Since(began))
		_, ok := srv.Bound("alice")
		require.False(t, ok)
		<-s.Done() // also for one who asks late
	})
}

func TestDone_ComesAfterACallbackThatCrashed(t *testing.T) {
	for _, callback := range []string{"OnNewSessionRegister", "OnMessage", "OnSessionClosed"} {
		t.Run(callback, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				done := make(chan (<-chan struct{}), 1)
				crash := func(name string) func(*tcp.Session) {
					return func(s *tcp.Session) {
						if name == "OnNewSessionRegister" {
							done <- s.Done()
						}
						if name == callback {
							panic("no")
						}
					}
				}
				srv := &tcp.Server{
					OnNewSessionRegister: crash("OnNewSessionRegister"),
					OnMessage:            func(s *tcp.Session, _ []byte) { crash("OnMessage")(s) },
					OnSessionClosed:      func(s *tcp.Session, _ pool.Reason) { crash("OnSessionClosed")(s) },
				}
				conn := harness.ListenPipes(t, srv)()
				if callback == "OnMessage" {
					harness.Write(t, conn, "x\n")
				}
				ended := harness.Next(t, done)
				_ = conn.Close()
				<-ended
			})
		})
	}
}

// wrapping is a listener whose connections are within others.
type wrapping struct{ net.Listener }

type wrapped struct{ inner net.Conn }

type wrappedConn struct {
	net.Conn
	wrapped
}

func (w wrapped) NetConn() net.Conn { return w.inner }

func (l wrapping) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c = wrappedConn{c, wrapped{c}}
	return wrappedConn{c, wrapped{c}}, nil
}

func TestConnectionState_IsThatOfTheTLSConnection(t *testing.T) {
	server, client := tlsConfigs(t)
	client.NextProtos, server.NextProtos = []string{"chat"}, []string{"chat"}
	for _, tt := range []struct {
		name   string
		srv    *tcp.Server
		listen func(net.Listener) net.Listener
	}{
		{"TLSConfig", &tcp.Server{TLSConfig: server}, func(l net.Listener) net.Listener { return l }},
		{"a listener of package tls", &tcp.Server{}, func(l net.Listener) net.Listener { return tls.NewListener(l, server) }},
		{"within others", &tcp.Server{}, func(l net.Listener) net.Listener { return wrapping{tls.NewListener(l, server)} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			protocol := make(chan string, 1)
			tt.srv.OnNewSessionRegister = func(s *tcp.Session) {
				state, ok := s.ConnectionState()
				require.True(t, ok)
				protocol <- state.NegotiatedProtocol
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			harness.ServeTCP(t, tt.srv, tt.listen(l))
			raw, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			c := tls.Client(raw, client)
			defer c.Close()
			require.NoError(t, c.Handshake())
			require.Equal(t, "chat", harness.Next(t, protocol))
		})
	}
}

// loop is a connection that claims to be within itself.
type loop struct{ net.Conn }

func (l loop) NetConn() net.Conn { return l }

type looping struct{ net.Listener }

func (l looping) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return loop{c}, err
}

func TestConnectionState_OfAHandshakeThatFailedIsFalse(t *testing.T) {
	server, _ := tlsConfigs(t)
	told := make(chan bool, 1)
	srv := &tcp.Server{TLSConfig: server, OnError: func(s *tcp.Session, _ error) {
		_, ok := s.ConnectionState()
		told <- ok
	}}
	harness.Write(t, harness.ListenTCP(t, srv)(), "GET / HTTP/1.1\r\n\r\n")
	require.False(t, harness.Next(t, told))
}

func TestConnectionState_OfNoTLSIsFalse(t *testing.T) {
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"plain":         func(l net.Listener) net.Listener { return l },
		"within others": func(l net.Listener) net.Listener { return wrapping{l} },
		"within itself": func(l net.Listener) net.Listener { return looping{l} },
	} {
		t.Run(name, func(t *testing.T) {
			srv := &tcp.Server{}
			e := watch(srv)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			harness.ServeTCP(t, srv, wrap(l))
			c, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			defer c.Close()
			_, ok := harness.Next(t, e.opened).ConnectionState()
			require.False(t, ok)
		})
	}
}

func TestHandshake_OfAWrappedConnectionTimesOutToo(t *testing.T) {
	server, _ := tlsConfigs(t)
	srv := &tcp.Server{HandshakeTimeout: 50 * time.Millisecond}
	e := watch(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	harness.ServeTCP(t, srv, wrapping{tls.NewListener(l, server)})
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrHandshake)
	require.Empty(t, e.opened)
}

func TestLabel_IsShortAndValidAndAPanicInItIsLogged(t *testing.T) {
	var log harness.LogBuffer
	for _, tt := range []struct {
		name  string
		label func(*tcp.Session) string
		want  string
	}{
		{"none", nil, ""},
		{"the user's name", func(s *tcp.Session) string { return s.Value().(string) }, "alice"},
		{"too long", func(*tcp.Session) string { return strings.Repeat("x", 255) + "é" }, strings.Repeat("x", 255)},
		{"not UTF-8", func(*tcp.Session) string { return "a\xffb" }, "a?b"},
		{"a panic", func(*tcp.Session) string { panic("no label") }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &tcp.Server{
					Label: tt.label, Logger: harness.Logger(&log, slog.LevelWarn),
					OnNewSessionRegister: func(s *tcp.Session) { s.SetValue("alice") },
				}
				harness.ListenPipes(t, srv)()
				synctest.Wait()
				s, ok := srv.Session(1)
				require.True(t, ok)
				require.Equal(t, tt.want, s.Label())
			})
		})
	}
	require.Contains(t, log.String(), "no label")
}

func TestSessions_AreNotShownWhileTheyRegisterAndShutdownLetsThemFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{OnNewSessionRegister: func(s *tcp.Session) {
			time.Sleep(time.Minute)
			s.SetValue("alice")
		}}
		events := watch(srv)
		dial := harness.ListenPipes(t, srv)
		dial()
		time.Sleep(time.Second)
		require.Empty(t, slices.Collect(srv.Sessions()))
		_, ok := srv.Session(1)
		require.False(t, ok)
		require.Equal(t, 1, srv.Stats().Sessions)
		time.Sleep(time.Minute)
		s, ok := srv.Session(1)
		require.True(t, ok)
		require.Equal(t, "alice", s.Value())

		dial()
		synctest.Wait()
		began := time.Now()
		require.NoError(t, srv.Shutdown(t.Context()))
		require.Equal(t, time.Minute, time.Since(began), "OnNewSessionRegister of the second session")
		require.Equal(t, pool.Shutdown, harness.Next(t, events.closed))
		require.Equal(t, pool.Shutdown, harness.Next(t, events.closed))
	})
}

func TestNetConn_IsTheConnectionThatWasAccepted(t *testing.T) {
	srv := &tcp.Server{}
	e := watch(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	conns := make(chan *sizedConn, 1)
	harness.ServeTCP(t, srv, sizedListener{l, conns})
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	require.Same(t, harness.Next(t, conns), harness.Next(t, e.opened).NetConn())
}
