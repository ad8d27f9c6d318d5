package tcp_test

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// probeReset closes a connection with a reset.
func probeReset(t testing.TB, c net.Conn) {
	t.Helper()
	require.NoError(t, c.(*net.TCPConn).SetLinger(0))
	require.NoError(t, c.Close())
}

func probeClose(t testing.TB, c net.Conn) {
	t.Helper()
	require.NoError(t, c.Close())
}

func TestProbe_ThatEndsBeforeItsFirstByteIsCountedAndToldToNobody(t *testing.T) {
	const probes = 20
	server, _ := tlsConfigs(t)
	plain := func(l net.Listener) net.Listener { return l }
	for _, tt := range []struct {
		name   string
		tls    *tls.Config
		listen func(net.Listener) net.Listener
	}{
		{"plain", nil, plain},
		{"plain, wrapped", nil, func(l net.Listener) net.Listener { return wrapping{l} }},
		{"TLSConfig", server, plain},
		{"TLSConfig, wrapped", server, func(l net.Listener) net.Listener { return wrapping{l} }},
		{"a listener of package tls", nil, func(l net.Listener) net.Listener { return tls.NewListener(l, server) }},
	} {
		for end, probe := range map[string]func(testing.TB, net.Conn){"RST": probeReset, "FIN": probeClose} {
			t.Run(tt.name+"/"+end, func(t *testing.T) {
				srv := &tcp.Server{TLSConfig: tt.tls}
				e := watch(srv)
				l, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				harness.ServeTCP(t, srv, tt.listen(l))
				for range probes {
					c, err := net.Dial("tcp", l.Addr().String())
					require.NoError(t, err)
					probe(t, c)
				}
				harness.Until(t, func() bool { return srv.Traffic().Probes == probes })
				require.NoError(t, srv.Shutdown(t.Context()))
				require.Empty(t, e.errors)
				require.EqualValues(t, probes, srv.Stats().ByReason[tcp.ReasonEOF])
				require.Len(t, e.closed, len(e.opened), "one for each that was registered")
			})
		}
	}
}

func TestProbe_ThatDoesNotWaitForTheGreetingIsToldToNobody(t *testing.T) {
	reset := make(chan struct{})
	sent := make(chan error, 1)
	srv := &tcp.Server{OnNewSessionRegister: func(s *tcp.Session) {
		<-reset
		var err error
		for err == nil { // the reset may be under way
			err = s.Send([]byte("220 hello\n"))
		}
		sent <- err
	}}
	e := watch(srv)
	probeReset(t, harness.ListenTCP(t, srv)())
	close(reset)
	require.ErrorIs(t, harness.Next(t, sent), tcp.ErrWrite)
	require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
	require.NoError(t, srv.Shutdown(t.Context()))
	require.Empty(t, e.errors)
	require.EqualValues(t, 1, srv.Traffic().Probes)
}

func TestProbe_IsNotAResetAfterTheFirstByte(t *testing.T) {
	srv := &tcp.Server{OnMessage: harness.EchoLine}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "hi\n")
	harness.Read(t, c, "hi\n")
	probeReset(t, c)
	require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrRead)
	require.Equal(t, tcp.ReasonError, harness.Next(t, e.closed))
	require.Zero(t, srv.Traffic().Probes)
}

func TestProbe_IsNotAHandshakeThatEndsHalfway(t *testing.T) {
	server, _ := tlsConfigs(t)
	for name, listen := range map[string]func(net.Listener) net.Listener{
		"TLSConfig":                 nil,
		"a listener of package tls": func(l net.Listener) net.Listener { return tls.NewListener(l, server) },
	} {
		t.Run(name, func(t *testing.T) {
			srv := &tcp.Server{}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			if listen == nil {
				srv.TLSConfig = server
			} else {
				l = listen(l)
			}
			e := watch(srv)
			harness.ServeTCP(t, srv, l)
			c, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			harness.Write(t, c, "\x16\x03\x01\x02\x00\x01")
			require.NoError(t, c.Close())
			require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrHandshake)
			require.Zero(t, srv.Traffic().Probes)
		})
	}
}
