package tcp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// tlsConfigs makes a certificate and the settings for both sides.
func tlsConfigs(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

func TestTLS_CarriesFrames(t *testing.T) {
	server, client := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, FrameTimeout: time.Hour, OnMessage: harness.EchoLine, IdleTimeout: time.Hour}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	c := tls.Client(dial(), client)
	for _, line := range []string{"x\n", "\n", "two\nlines\n", "a longer line that is more than a few bytes\n"} {
		harness.Write(t, c, line)
		harness.Read(t, c, line)
	}
	big := make([]byte, 100_000)
	for i := range big {
		big[i] = 'b'
	}
	harness.Write(t, c, string(big)+"\n")
	harness.Read(t, c, string(big)+"\n")
	require.NoError(t, c.Close())
	require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
	require.Empty(t, e.errors)
	require.Zero(t, server.MinVersion, "the caller's settings are not written to")
}

func TestTLS_IsNotSpokenBelowVersion12(t *testing.T) {
	server, client := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	client.MinVersion, client.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	require.Error(t, tls.Client(dial(), client).Handshake())
	require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrHandshake)
}

func TestHandshake_ThatFailsIsNoSession(t *testing.T) {
	server, _ := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "GET / HTTP/1.1\r\n\r\n")
	harness.WaitClosed(t, c)
	require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrHandshake)
	require.NoError(t, srv.Shutdown(t.Context()))
	require.Empty(t, e.opened)
	require.Empty(t, e.closed)
	require.EqualValues(t, 1, srv.Stats().ByReason[tcp.ReasonHandshake])
}

func TestHandshake_ThatNeverBeginsTimesOutAndDelaysNoOther(t *testing.T) {
	t.Parallel() // it waits for a time limit
	server, client := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, HandshakeTimeout: 10 * time.Second, IdleTimeout: 20 * time.Millisecond}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	silent := dial()
	c := tls.Client(dial(), client)
	require.NoError(t, c.Handshake(), "the accept loop does not wait for handshakes")
	harness.Next(t, e.opened)
	require.Empty(t, e.errors)
	require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
	harness.WaitClosed(t, silent)
	require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrHandshake)
	require.EqualValues(t, 1, srv.Stats().ByReason[tcp.ReasonHandshake], "not Timeout: it is no session yet")
}

func TestHandshake_CountsForTheLimitsAndIsNotFound(t *testing.T) {
	server, _ := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, MaxSessions: 1, HandshakeTimeout: -1}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	dial()
	harness.WaitClosed(t, dial())
	require.ErrorIs(t, harness.Next(t, e.errors), pool.ErrFull)
	require.Equal(t, 1, srv.Stats().Sessions)
	_, ok := srv.Session(1)
	require.False(t, ok)
	for s := range srv.Sessions() {
		require.Fail(t, "found", "%d", s.ID())
	}
	require.NoError(t, srv.Shutdown(t.Context()), "a handshake does not hold up Shutdown")
	require.Empty(t, e.opened)
	require.Empty(t, e.closed)
	require.Empty(t, e.errors)
}

func TestHandshake_TimeoutEndsWithIt(t *testing.T) {
	server, client := tlsConfigs(t)
	server.SessionTicketsDisabled = true // a pipe holds nothing, and the client reads no more for now
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{TLSConfig: server, HandshakeTimeout: 2 * time.Second, IdleTimeout: -1, OnMessage: harness.EchoLine}
		e := watch(srv)
		c := tls.Client(harness.ListenMemory(t, srv)(), client)
		require.NoError(t, c.Handshake())
		time.Sleep(time.Hour)
		harness.Write(t, c, "hi\n")
		harness.Read(t, c, "hi\n")
		require.Empty(t, e.closed)
	})
}

// tap is not a plain socket, and reports what is written.
type tap struct {
	net.Conn
	records chan byte // the first byte of each write, which is the kind of TLS record
}

func (c tap) Write(p []byte) (int, error) {
	if len(p) > 0 {
		c.records <- p[0]
	}
	return c.Conn.Write(p)
}

// tappedConn is a listener that returns taps.
type tappedConn struct {
	net.Listener
	records chan byte
}

func (l tappedConn) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return tap{c, l.records}, err
}

func TestTLS_CloseNotifyIsSentUnlessThePeerIsGoneOrSlow(t *testing.T) {
	for reason, farewell := range map[pool.Reason]bool{
		tcp.ReasonSlow: false, tcp.ReasonError: false, tcp.ReasonOverload: false,
		pool.Timeout: true, pool.Lifetime: true, tcp.ReasonFrameTimeout: true,
		pool.Shutdown: true, tcp.ReasonBadFrame: true, "by hand": true,
	} {
		for _, tapped := range []bool{false, true} {
			server, client := tlsConfigs(t)
			client.MaxVersion = tls.VersionTLS12 // where an alert can be told from data by its record
			srv := &tcp.Server{TLSConfig: server}
			e := watch(srv)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			records := make(chan byte, 100)
			if tapped {
				harness.ServeTCP(t, srv, tappedConn{l, records})
			} else {
				harness.ServeTCP(t, srv, l)
			}
			raw, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			c := tls.Client(raw, client)
			require.NoError(t, c.Handshake())
			s := harness.Next(t, e.opened)
			require.True(t, s.Close(reason))
			rest, _ := io.ReadAll(raw) // a reset ends it with an error
			const alert = 21
			require.Equal(t, farewell, len(rest) > 0 && rest[0] == alert, reason)
			require.Equal(t, reason, harness.Next(t, e.closed))
			require.Empty(t, e.errors)
			require.NoError(t, raw.Close())
		}
	}
}

func TestTLS_CloseNotifyFollowsTheFarewell(t *testing.T) {
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"tls":     func(l net.Listener) net.Listener { return l },
		"wrapped": func(l net.Listener) net.Listener { return wrapping{l} },
	} {
		t.Run(name, func(t *testing.T) {
			server, client := tlsConfigs(t)
			client.MaxVersion = tls.VersionTLS12 // as above
			srv := &tcp.Server{Farewell: farewell}
			e := watch(srv)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			harness.ServeTCP(t, srv, wrap(tls.NewListener(l, server)))
			raw, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			defer raw.Close()
			require.NoError(t, tls.Client(raw, client).Handshake())
			harness.Next(t, e.opened).Close("Kicked")
			rest, err := io.ReadAll(raw)
			require.NoError(t, err)
			var records []byte // the first byte of each
			for len(rest) > 0 {
				records = append(records, rest[0])
				rest = rest[5+int(rest[3])<<8+int(rest[4]):]
			}
			require.Equal(t, []byte{23, 21}, records, "data, and an alert")
		})
	}
}

func TestTLS_ACloseDoesNotWaitForAPeerThatDoesNotRead(t *testing.T) {
	server, client := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, WriteTimeout: -1, OnMessage: func(s *tcp.Session, _ []byte) {
		for s.Send(make([]byte, 1<<16)) == nil {
			continue
		}
	}}
	e := watch(srv)
	c := tls.Client(harness.ListenTCP(t, srv)(), client)
	harness.Write(t, c, "flood me\n")
	s := harness.Next(t, e.opened)
	time.Sleep(50 * time.Millisecond)
	require.True(t, s.Close("by hand")) // a close_notify that waited would wait for ever
	require.Equal(t, pool.Reason("by hand"), harness.Next(t, e.closed))
}

func TestTLS_ASlowPeerIsClosed(t *testing.T) {
	server, client := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, WriteTimeout: 100 * time.Millisecond, OnMessage: func(s *tcp.Session, _ []byte) {
		for s.Send(make([]byte, 1<<16)) == nil {
			continue
		}
	}}
	e := watch(srv)
	harness.Write(t, tls.Client(harness.ListenTCP(t, srv)(), client), "flood me\n")
	require.Equal(t, tcp.ReasonSlow, harness.Next(t, e.closed))
	require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrSlow)
}

func TestTLS_ATrickleEndsByTheFrameTimeout(t *testing.T) {
	server, client := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, FrameTimeout: 100 * time.Millisecond}
	e := watch(srv)
	c := tls.Client(harness.ListenTCP(t, srv)(), client)
	require.NoError(t, c.Handshake())
	for len(e.closed) == 0 {
		_, _ = c.Write([]byte("x"))
		time.Sleep(5 * time.Millisecond)
	}
	require.Equal(t, tcp.ReasonFrameTimeout, harness.Next(t, e.closed))
	require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrFrameTimeout)
}

func TestTLS_ASessionTimesOut(t *testing.T) {
	t.Parallel() // it waits for a time limit
	server, client := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, IdleTimeout: 50 * time.Millisecond}
	e := watch(srv)
	require.NoError(t, tls.Client(harness.ListenTCP(t, srv)(), client).Handshake())
	require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
	require.Empty(t, e.errors)
}

func TestTLS_AListenerMayBringItsOwn(t *testing.T) {
	server, client := tlsConfigs(t)
	srv := &tcp.Server{OnMessage: harness.EchoLine}
	e := watch(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	harness.ServeTCP(t, srv, tls.NewListener(l, server))
	raw, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	c := tls.Client(raw, client)
	defer c.Close()
	harness.Write(t, c, "hi\n")
	harness.Read(t, c, "hi\n")
	harness.Next(t, e.opened).Close("bye")
	require.Equal(t, pool.Reason("bye"), harness.Next(t, e.closed))
}
