package proxyproto_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math"
	"math/big"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/proxyproto"
	"github.com/sessionwheel/sessionwheel/tcp"
)

const patience = time.Minute

func next[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		require.FailNow(t, "it did not happen")
		panic("unreachable")
	}
}

// serve starts srv behind a Listener that trusts the loopback.
func serve(t testing.TB, srv *tcp.Server) (dial func() net.Conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l, err := proxyproto.New(inner, proxyproto.Config{
		Trusted:       []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		HeaderTimeout: time.Hour,
	})
	require.NoError(t, err)
	serveOn(t, srv, l)
	return func() net.Conn { return connect(t, inner.Addr()) }
}

func serveOn(t testing.TB, srv *tcp.Server, l net.Listener) {
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with Shutdown, waited for by the cleanup
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		require.ErrorIs(t, next(t, served), tcp.ErrServerClosed)
	})
}

func connect(t testing.TB, to net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", to.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

func echo(s *tcp.Session, p []byte) { _ = s.Send(append(p, '\n')) }

func says(t testing.TB, c net.Conn, s string) {
	t.Helper()
	_, err := io.WriteString(c, s)
	require.NoError(t, err)
}

func hears(t testing.TB, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

func TestMaxSessionsPerIP_CountsTheClientsOfAProxy(t *testing.T) {
	for _, tt := range []struct {
		name, family            string
		first, second, third, b string // third is refused beside the first two, b is not
	}{
		{"IPv4", "TCP4", "203.0.113.7", "203.0.113.7", "203.0.113.7", "203.0.113.8"},
		{"IPv6 of one /64", "TCP6", "2001:db8::1", "2001:db8::2:3", "2001:db8::ffff", "2001:db8:0:1::1"},
		{"IPv4 in IPv6", "TCP6", "::ffff:203.0.113.7", "::ffff:203.0.113.7", "::ffff:203.0.113.7", "::ffff:203.0.113.8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opened := make(chan string, 10)
			refused := make(chan error, 10)
			closed := make(chan pool.Reason, 10)
			srv := &tcp.Server{
				MaxSessionsPerIP:     2,
				OnNewSessionRegister: func(s *tcp.Session) { opened <- s.RemoteAddr().(*net.TCPAddr).IP.String() },
				OnError:              func(_ *tcp.Session, err error) { refused <- err },
				OnSessionClosed:      func(_ *tcp.Session, r pool.Reason) { closed <- r },
			}
			dial := serve(t, srv)
			from := func(client string) net.Conn {
				c := dial()
				local := map[string]string{"TCP4": "198.51.100.2", "TCP6": "2001:db8:9::9"}[tt.family]
				says(t, c, fmt.Sprintf("PROXY %s %s %s 12345 443\r\n", tt.family, client, local))
				return c
			}
			for range 5 {
				dial() // waits for ever, and is no session
			}
			first := from(tt.first)
			next(t, opened)
			from(tt.second)
			next(t, opened)
			_, err := from(tt.third).Read(make([]byte, 1))
			require.Error(t, err)
			err = next(t, refused)
			require.ErrorIs(t, err, tcp.ErrTooManyFromIP)
			require.ErrorContains(t, err, net.ParseIP(tt.third).String())
			from(tt.b)
			require.Equal(t, net.ParseIP(tt.b).String(), next(t, opened))
			require.NoError(t, first.Close())
			require.Equal(t, tcp.ReasonEOF, next(t, closed))
			from(tt.third)
			require.Equal(t, net.ParseIP(tt.third).String(), next(t, opened))
			require.Empty(t, refused)
		})
	}
}

func TestShutdown_DoesNotWaitForHeaders(t *testing.T) {
	opened := make(chan *tcp.Session, 1)
	srv := &tcp.Server{OnNewSessionRegister: func(s *tcp.Session) { opened <- s }}
	dial := serve(t, srv)
	var silent []net.Conn
	for range 10 {
		silent = append(silent, dial())
	}
	c := dial()
	says(t, c, "PROXY TCP4 203.0.113.7 198.51.100.2 12345 443\r\n")
	next(t, opened)
	require.NoError(t, srv.Shutdown(t.Context()))
	for _, c := range append(silent, c) {
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err)
	}
}

// certificate returns the TLS configurations of both sides.
func certificate(t testing.TB) (server, client *tls.Config) {
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

// headed is a connection whose first write has a header before it.
type headed struct {
	net.Conn
	header string
}

func (c *headed) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(append([]byte(c.header), p...))
	n = max(0, n-len(c.header))
	c.header = ""
	return n, err
}

func TestTLS_FollowsTheHeader(t *testing.T) {
	for _, together := range []bool{false, true} {
		server, client := certificate(t)
		opened := make(chan string, 1)
		srv := &tcp.Server{
			TLSConfig: server, OnMessage: echo,
			OnNewSessionRegister: func(s *tcp.Session) { opened <- s.RemoteAddr().String() },
		}
		h := &headed{Conn: serve(t, srv)(), header: "PROXY TCP4 203.0.113.7 198.51.100.2 12345 443\r\n"}
		if !together {
			_, err := h.Write(nil)
			require.NoError(t, err)
		}
		c := tls.Client(h, client)
		says(t, c, "hello\n")
		hears(t, c, "hello\n")
		require.Equal(t, "203.0.113.7:12345", next(t, opened))
	}
}

// With -v it prints the memory of an idle connection.
func TestIdleConnection_BehindAProxyHoldsNoReadBufferForLong(t *testing.T) {
	const n = 400
	// perConn returns what a connection holds once that is less than most, or at last.
	perConn := func(header string, dial func() net.Conn, most int64) (held int64) {
		before := settled()
		conns := make([]net.Conn, n)
		for i := range conns {
			conns[i] = dial()
			says(t, conns[i], header+"x\n")
			hears(t, conns[i], "x\n")
		}
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			if held = (settled() - before) / n; held < most {
				break
			}
		}
		for _, c := range conns {
			require.NoError(t, c.Close())
		}
		return held
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serveOn(t, &tcp.Server{OnMessage: echo}, inner)
	plain := perConn("", func() net.Conn { return connect(t, inner.Addr()) }, math.MaxInt64)
	dial := serve(t, &tcp.Server{OnMessage: echo})
	local := perConn("PROXY UNKNOWN\r\n", dial, plain+4096)
	proxied := perConn("PROXY TCP4 203.0.113.7 198.51.100.2 12345 443\r\n", dial, plain+4096)
	t.Logf("bytes of an idle connection, both its ends: %d plain, %d after UNKNOWN, %d proxied", plain, local, proxied)
	require.Less(t, proxied, plain+4096, "a read buffer alone has 8 KiB")
	require.Less(t, local, plain+4096)
}

// settled returns the bytes in use after everything unused was freed.
func settled() int64 {
	var m runtime.MemStats
	for range 3 { // sync.Pools are empty after two, and stacks shrink by half each
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
