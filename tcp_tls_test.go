package sessionwheel_test

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
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// tcpTLS makes a certificate and the settings for both sides.
func tcpTLS(t testing.TB) (server, client *tls.Config) {
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

func TestFramesOverTLS(t *testing.T) {
	server, client := tcpTLS(t)
	srv := &tcp.Server{TLSConfig: server, FrameTimeout: time.Hour, OnMessage: tcpEcho, IdleTimeout: time.Hour}
	e := tcpWatch(srv)
	dial := tcpListen(t, srv)
	c := tls.Client(dial(), client)
	for _, line := range []string{"x\n", "\n", "two\nlines\n", "a longer line that is more than a few bytes\n"} {
		tcpWrite(t, c, line)
		tcpRead(t, c, line)
	}
	big := make([]byte, 100_000)
	for i := range big {
		big[i] = 'b'
	}
	tcpWrite(t, c, string(big)+"\n")
	tcpRead(t, c, string(big)+"\n")
	require.NoError(t, c.Close())
	require.Equal(t, tcp.ReasonEOF, tcpNext(t, e.closed))
	require.Empty(t, e.errors)
	require.Zero(t, server.MinVersion, "the caller's settings are not written to")
}

func TestTLSIsNotSpokenBelowVersion12(t *testing.T) {
	server, client := tcpTLS(t)
	srv := &tcp.Server{TLSConfig: server}
	e := tcpWatch(srv)
	dial := tcpListen(t, srv)
	client.MinVersion, client.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	require.Error(t, tls.Client(dial(), client).Handshake())
	require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrHandshake)
}

func TestAHandshakeThatFailsIsNoSession(t *testing.T) {
	server, _ := tcpTLS(t)
	srv := &tcp.Server{TLSConfig: server}
	e := tcpWatch(srv)
	c := tcpListen(t, srv)()
	tcpWrite(t, c, "GET / HTTP/1.1\r\n\r\n")
	tcpGone(t, c)
	require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrHandshake)
	require.NoError(t, srv.Shutdown(t.Context()))
	require.Empty(t, e.opened)
	require.Empty(t, e.closed)
	require.EqualValues(t, 1, srv.Stats().ByReason[tcp.ReasonHandshake])
}

func TestAHandshakeThatNeverBeginsTimesOutAndDelaysNobody(t *testing.T) {
	server, client := tcpTLS(t)
	srv := &tcp.Server{TLSConfig: server, HandshakeTimeout: time.Second, IdleTimeout: 20 * time.Millisecond}
	e := tcpWatch(srv)
	dial := tcpListen(t, srv)
	silent := dial()
	c := tls.Client(dial(), client)
	require.NoError(t, c.Handshake(), "the accept loop does not wait for handshakes")
	tcpNext(t, e.opened)
	require.Empty(t, e.errors)
	require.Equal(t, pool.Timeout, tcpNext(t, e.closed))
	tcpGone(t, silent)
	require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrHandshake)
	require.EqualValues(t, 1, srv.Stats().ByReason[tcp.ReasonHandshake], "not Timeout: it is no session yet")
}

func TestAHandshakeCountsForTheLimitsAndIsNotFound(t *testing.T) {
	server, _ := tcpTLS(t)
	srv := &tcp.Server{TLSConfig: server, MaxSessions: 1, HandshakeTimeout: -1}
	e := tcpWatch(srv)
	dial := tcpListen(t, srv)
	dial()
	tcpGone(t, dial())
	require.ErrorIs(t, tcpNext(t, e.errors), pool.ErrFull)
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

func TestTheHandshakeTimeoutEndsWithTheHandshake(t *testing.T) {
	server, client := tcpTLS(t)
	const timeout = 2 * time.Second
	srv := &tcp.Server{TLSConfig: server, HandshakeTimeout: timeout, OnMessage: tcpEcho}
	e := tcpWatch(srv)
	c := tls.Client(tcpListen(t, srv)(), client)
	require.NoError(t, c.Handshake())
	time.Sleep(timeout + 300*time.Millisecond)
	tcpWrite(t, c, "hi\n")
	tcpRead(t, c, "hi\n")
	require.Empty(t, e.closed)
}

// tcpTap is a connection that is no plain socket, and notes what is written.
type tcpTap struct {
	net.Conn
	records chan byte // the first byte of each write, which is the kind of TLS record
}

func (c tcpTap) Write(p []byte) (int, error) {
	if len(p) > 0 {
		c.records <- p[0]
	}
	return c.Conn.Write(p)
}

// tcpTapped is a listener that taps what it accepts.
type tcpTapped struct {
	net.Listener
	records chan byte
}

func (l tcpTapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return tcpTap{c, l.records}, err
}

func TestOnlySomeReasonsSayFarewellUnderTLS(t *testing.T) {
	for reason, farewell := range map[pool.Reason]bool{
		pool.Timeout: false, pool.Lifetime: false, tcp.ReasonSlow: false, tcp.ReasonFrameTimeout: false, tcp.ReasonError: false,
		pool.Shutdown: true, tcp.ReasonBadFrame: true, "by hand": true,
	} {
		for _, tapped := range []bool{false, true} {
			server, client := tcpTLS(t)
			client.MaxVersion = tls.VersionTLS12 // where an alert can be told from data by its record
			srv := &tcp.Server{TLSConfig: server}
			e := tcpWatch(srv)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			records := make(chan byte, 100)
			if tapped {
				tcpServe(t, srv, tcpTapped{l, records})
			} else {
				tcpServe(t, srv, l)
			}
			raw, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			c := tls.Client(raw, client)
			require.NoError(t, c.Handshake())
			s := tcpNext(t, e.opened)
			require.True(t, s.Close(reason))
			rest, err := io.ReadAll(raw)
			require.NoError(t, err)
			const alert = 21
			require.Equal(t, farewell, len(rest) > 0 && rest[0] == alert, reason)
			require.Equal(t, reason, tcpNext(t, e.closed))
			require.Empty(t, e.errors)
			require.NoError(t, raw.Close())
		}
	}
}

func TestClosingUnderTLSDoesNotHangOnAPeerThatDoesNotRead(t *testing.T) {
	server, client := tcpTLS(t)
	srv := &tcp.Server{TLSConfig: server, WriteTimeout: -1, OnMessage: func(s *tcp.Session, _ []byte) {
		for s.Send(make([]byte, 1<<16)) == nil {
			continue
		}
	}}
	e := tcpWatch(srv)
	c := tls.Client(tcpListen(t, srv)(), client)
	tcpWrite(t, c, "flood me\n")
	s := tcpNext(t, e.opened)
	time.Sleep(50 * time.Millisecond)
	require.True(t, s.Close("by hand")) // a farewell that waited would wait for ever
	require.Equal(t, pool.Reason("by hand"), tcpNext(t, e.closed))
}

func TestASlowPeerUnderTLSIsClosed(t *testing.T) {
	server, client := tcpTLS(t)
	srv := &tcp.Server{TLSConfig: server, WriteTimeout: 100 * time.Millisecond, OnMessage: func(s *tcp.Session, _ []byte) {
		for s.Send(make([]byte, 1<<16)) == nil {
			continue
		}
	}}
	e := tcpWatch(srv)
	tcpWrite(t, tls.Client(tcpListen(t, srv)(), client), "flood me\n")
	require.Equal(t, tcp.ReasonSlow, tcpNext(t, e.closed))
	require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrSlow)
}

func TestATrickleUnderTLSDoesNotHoldTheConnection(t *testing.T) {
	server, client := tcpTLS(t)
	srv := &tcp.Server{TLSConfig: server, FrameTimeout: 100 * time.Millisecond}
	e := tcpWatch(srv)
	c := tls.Client(tcpListen(t, srv)(), client)
	require.NoError(t, c.Handshake())
	for len(e.closed) == 0 {
		_, _ = c.Write([]byte("x"))
		time.Sleep(5 * time.Millisecond)
	}
	require.Equal(t, tcp.ReasonFrameTimeout, tcpNext(t, e.closed))
	require.ErrorIs(t, tcpNext(t, e.errors), tcp.ErrFrameTimeout)
}

func TestASessionUnderTLSTimesOut(t *testing.T) {
	server, client := tcpTLS(t)
	srv := &tcp.Server{TLSConfig: server, IdleTimeout: 50 * time.Millisecond}
	e := tcpWatch(srv)
	require.NoError(t, tls.Client(tcpListen(t, srv)(), client).Handshake())
	require.Equal(t, pool.Timeout, tcpNext(t, e.closed))
	require.Empty(t, e.errors)
}

func TestAListenerMayBringItsOwnTLS(t *testing.T) {
	server, client := tcpTLS(t)
	srv := &tcp.Server{OnMessage: tcpEcho}
	e := tcpWatch(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	tcpServe(t, srv, tls.NewListener(l, server))
	raw, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	c := tls.Client(raw, client)
	defer c.Close()
	tcpWrite(t, c, "hi\n")
	tcpRead(t, c, "hi\n")
	tcpNext(t, e.opened).Close("bye")
	require.Equal(t, pool.Reason("bye"), tcpNext(t, e.closed))
}
