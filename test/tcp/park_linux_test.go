package tcp_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// awaitParked waits until n sessions are parked.
func awaitParked(t testing.TB, srv *tcp.Server, n int) {
	t.Helper()
	harness.Until(t, func() bool { return srv.Stats().Parked == n })
}

// shownSocket wraps a connection, and shows it as NetConn.
type shownSocket struct{ net.Conn }

func (c shownSocket) NetConn() net.Conn { return c.Conn }

type shownSockets struct{ net.Listener }

func (l shownSockets) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return shownSocket{c}, nil
}

// parkable are the kinds of connections that are parked. Each returns a function that
// connects to srv.
func parkable(t *testing.T) map[string]func(t *testing.T, srv *tcp.Server) func() net.Conn {
	server, client := tlsConfigs(t)
	serve := func(t *testing.T, srv *tcp.Server, wrap func(net.Listener) net.Listener) func() net.Conn {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		harness.ServeTCP(t, srv, wrap(l))
		return func() net.Conn { return connect(t, l.Addr()) }
	}
	// Those that are encrypted go through halves.
	encrypted := func(dial func() net.Conn) func() net.Conn {
		return func() net.Conn { return tls.Client(&halves{Conn: dial()}, client) }
	}
	return map[string]func(*testing.T, *tcp.Server) func() net.Conn{
		"plain": func(t *testing.T, srv *tcp.Server) func() net.Conn { return harness.ListenTCP(t, srv) },
		"unix": func(t *testing.T, srv *tcp.Server) func() net.Conn {
			l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
			require.NoError(t, err)
			harness.ServeTCP(t, srv, l)
			return func() net.Conn { return connect(t, l.Addr()) }
		},
		"wrapped": func(t *testing.T, srv *tcp.Server) func() net.Conn {
			return serve(t, srv, func(l net.Listener) net.Listener { return shownSockets{l} })
		},
		"TLS": func(t *testing.T, srv *tcp.Server) func() net.Conn {
			srv.TLSConfig = server
			return encrypted(harness.ListenTCP(t, srv))
		},
		"TLS listener": func(t *testing.T, srv *tcp.Server) func() net.Conn {
			return encrypted(serve(t, srv, func(l net.Listener) net.Listener { return tls.NewListener(l, server) }))
		},
		"TLS over a wrapped connection": func(t *testing.T, srv *tcp.Server) func() net.Conn {
			srv.TLSConfig = server
			return encrypted(serve(t, srv, func(l net.Listener) net.Listener { return shownSockets{l} }))
		},
	}
}

// halves is a connection that can write what it is given in two halves.
type halves struct {
	net.Conn
	between func() // nil: it writes all at once
}

func (c *halves) Write(p []byte) (int, error) {
	if c.between == nil {
		return c.Conn.Write(p)
	}
	half := len(p) / 2
	n, err := c.Conn.Write(p[:half])
	if err != nil {
		return n, err
	}
	c.between()
	m, err := c.Conn.Write(p[half:])
	return n + m, err
}

func connect(t testing.TB, addr net.Addr) net.Conn {
	c, err := net.Dial(addr.Network(), addr.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestPark_AnIdleSessionHasNoGoroutine(t *testing.T) {
	t.Parallel() // it waits until sessions are parked
	for name, listen := range parkable(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits until sessions are parked
			n := 20
			if name == "plain" { // the others take more time
				n = 50
			}
			goroutines := harness.Goroutines(t)
			srv := &tcp.Server{OnMessage: harness.EchoLine}
			e := watch(srv)
			dial := listen(t, srv)
			before := goroutines()
			conns := make([]net.Conn, n)
			for i := range conns {
				conns[i] = dial()
				if c, ok := conns[i].(*tls.Conn); ok {
					require.NoError(t, c.HandshakeContext(t.Context()))
				}
				harness.Next(t, e.opened)
			}
			awaitParked(t, srv, n)
			for range 2 {
				for _, c := range conns {
					harness.Write(t, c, "hello\nthere\n")
				}
				for _, c := range conns {
					harness.Read(t, c, "hello\nthere\n")
				}
			}
			awaitParked(t, srv, n)
			harness.Until(t, func() bool { return goroutines() < before+n/2 })
			require.NoError(t, srv.Shutdown(t.Context()))
			require.Zero(t, srv.Stats().Parked)
			require.Len(t, e.closed, n)
		})
	}
}

// A session that rests for a while after each message holds no goroutine in between; one that
// is spoken to again soon keeps its own until it was silent for a second or two.
func TestPark_ASessionThatIsActiveKeepsItsGoroutine(t *testing.T) {
	t.Parallel() // it waits until a session is parked
	srv := &tcp.Server{OnMessage: harness.EchoLine}
	c := harness.ListenTCP(t, srv)()
	awaitParked(t, srv, 1)
	echo := func() {
		harness.Write(t, c, "x\n")
		harness.Read(t, c, "x\n")
	}
	harness.Until(t, func() bool { // on a busy machine it may take some tries
		echo()
		echo()
		echo()
		time.Sleep(20 * time.Millisecond)
		return srv.Stats().Parked == 0
	})
	awaitParked(t, srv, 1)
	echo()
	awaitParked(t, srv, 1)
}

func TestPark_AConnectionWithoutASocketKeepsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{OnMessage: harness.EchoLine}
		c := harness.ListenMemory(t, srv)()
		for range 2 {
			harness.Write(t, c, "x\n")
			harness.Read(t, c, "x\n")
			time.Sleep(time.Minute)
			require.Zero(t, srv.Stats().Parked)
		}
	})
}

func TestPark_PartOfAFrameHasItsTime(t *testing.T) {
	t.Parallel() // it waits for a time limit
	for name, listen := range parkable(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits for a time limit
			srv := &tcp.Server{FrameTimeout: 12 * time.Second}
			e := watch(srv)
			dial := listen(t, srv)
			whole, late := dial(), dial()
			harness.Write(t, whole, "begin")
			harness.Write(t, late, "begin")
			awaitParked(t, srv, 2)
			harness.Write(t, whole, "end\n")
			require.Equal(t, "beginend", harness.Next(t, e.messages))
			require.Equal(t, tcp.ReasonFrameTimeout, harness.Next(t, e.closed))
			require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrFrameTimeout)
			harness.Write(t, whole, "more\n")
			require.Equal(t, "more", harness.Next(t, e.messages))
			require.Empty(t, e.closed)
		})
	}
}

// A record of TLS of which half is there is neither lost nor waited for by a goroutine.
func TestPark_HalfARecord(t *testing.T) {
	t.Parallel() // it waits until sessions are parked
	for name, listen := range parkable(t) {
		if !strings.HasPrefix(name, "TLS") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits until a session is parked
			srv := &tcp.Server{OnMessage: harness.EchoLine}
			c := listen(t, srv)().(*tls.Conn)
			harness.Write(t, c, "x\n")
			harness.Read(t, c, "x\n")
			c.NetConn().(*halves).between = func() { // the half has been read by then
				time.Sleep(20 * time.Millisecond)
				awaitParked(t, srv, 1)
			}
			for range 2 {
				harness.Write(t, c, "hello\n")
				harness.Read(t, c, "hello\n")
			}
		})
	}
}

func TestPark_ThePeerEndsAParkedSession(t *testing.T) {
	for name, listen := range parkable(t) {
		t.Run(name, func(t *testing.T) {
			srv := &tcp.Server{OnMessage: harness.EchoLine}
			e := watch(srv)
			dial := listen(t, srv)
			c := dial()
			harness.Write(t, c, "x\n")
			harness.Read(t, c, "x\n")
			awaitParked(t, srv, 1)
			require.NoError(t, c.Close())
			require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
			if name != "plain" {
				return
			}
			c = dial()
			harness.Write(t, c, "x\n")
			harness.Read(t, c, "x\n")
			awaitParked(t, srv, 1)
			require.NoError(t, c.(*net.TCPConn).SetLinger(0))
			require.NoError(t, c.Close()) // a reset
			require.Equal(t, tcp.ReasonError, harness.Next(t, e.closed))
			require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrRead)
		})
	}
}

func TestPark_AHandshakeThatDoesNotBeginHasItsTime(t *testing.T) {
	t.Parallel() // it waits for a time limit
	server, _ := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, HandshakeTimeout: 300 * time.Millisecond}
	e := watch(srv)
	silent := harness.ListenTCP(t, srv)()
	harness.WaitClosed(t, silent)
	require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrHandshake)
	require.Empty(t, e.opened)
}

func TestPark_EndsOfASessionWhoseHandshakeHasNotBegun(t *testing.T) {
	server, _ := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	probe := dial()
	awaitParked(t, srv, 1)
	require.NoError(t, probe.Close())
	harness.Until(t, func() bool { return srv.Traffic().Probes == 1 })
	c := dial()
	awaitParked(t, srv, 1)
	require.NoError(t, srv.Shutdown(t.Context()))
	harness.WaitClosed(t, c)
	require.Empty(t, e.opened)
	require.Empty(t, e.errors)
}

func TestPark_AHandshakeThatHasNotBegunDoesNotCount(t *testing.T) {
	server, client := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, MaxHandshakes: 1, OnMessage: harness.EchoLine}
	dial := harness.ListenTCP(t, srv)
	for range 3 {
		dial()
	}
	awaitParked(t, srv, 3)
	c := tls.Client(dial(), client)
	harness.Write(t, c, "x\n")
	harness.Read(t, c, "x\n")
}

// A peer that has closed its side gets its replies, and its session waits for them without a
// goroutine.
func TestPark_AHalfClosedSessionIsParked(t *testing.T) {
	holds := make(chan func(), 1)
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) { holds <- s.Hold() }}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	s := harness.Next(t, e.opened)
	harness.Write(t, c, "ask\n")
	closeWrite(t, c)
	release := harness.Next(t, holds)
	awaitParked(t, srv, 1)
	require.Empty(t, e.closed)
	require.NoError(t, s.Post([]byte("reply\n")))
	require.Empty(t, e.closed)
	release()
	harness.Read(t, c, "reply\n")
	require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

func TestPark_EachWayToCloseAParkedSession(t *testing.T) {
	for name, end := range map[pool.Reason]func(srv *tcp.Server, s *tcp.Session){
		"Kicked":      func(_ *tcp.Server, s *tcp.Session) { s.Close("Kicked") },
		"Finished":    func(_ *tcp.Server, s *tcp.Session) { s.Finish("Finished") },
		pool.Timeout:  func(_ *tcp.Server, s *tcp.Session) { s.SetIdleTimeout(time.Millisecond) },
		pool.Shutdown: func(srv *tcp.Server, _ *tcp.Session) { go func() { _ = srv.Shutdown(context.Background()) }() },
		"Server":      func(srv *tcp.Server, _ *tcp.Session) { _ = srv.Close() },
		pool.Replaced: nil,
	} {
		t.Run(string(name), func(t *testing.T) {
			srv := &tcp.Server{Farewell: farewell}
			e := watch(srv)
			dial := harness.ListenTCP(t, srv)
			c := dial()
			s := harness.Next(t, e.opened)
			if end == nil {
				require.NoError(t, s.Bind(t.Context(), "name", nil))
			}
			awaitParked(t, srv, 1)
			if end == nil {
				dial()
				other := harness.Next(t, e.opened)
				require.NoError(t, other.Bind(t.Context(), "name", nil))
			} else {
				end(srv, s)
			}
			want := "bye: " + string(name) + "\n"
			switch name {
			case "Finished": // there is no farewell
				want = ""
			case "Server":
				want, name = "", pool.Shutdown
			}
			harness.Read(t, c, want)
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, name, harness.Next(t, e.closed))
		})
	}
}

// What is posted to a session that is parked waits for the peer without waking it.
func TestPark_APostToAParkedSessionWhoseSocketIsFull(t *testing.T) {
	srv := &tcp.Server{MaxOutbound: 64 << 20}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	s := harness.Next(t, e.opened)
	awaitParked(t, srv, 1)
	const size = 32 << 20
	require.NoError(t, s.Post(make([]byte, size)))
	require.Positive(t, s.Outbound())
	require.Equal(t, 1, srv.Stats().Parked)
	n, err := io.CopyN(io.Discard, c, size)
	require.NoError(t, err, "after %d bytes", n)
	harness.Write(t, c, "x\n")
	require.Equal(t, "x", harness.Next(t, e.messages))
}

func TestPark_OnIdleRunsWhileTheSessionIsParked(t *testing.T) {
	t.Parallel() // it waits for half of an idle timeout
	srv := &tcp.Server{IdleTimeout: 4 * time.Second}
	srv.OnIdle = func(s *tcp.Session) {
		assert.Equal(t, 1, srv.Stats().Parked)
		_ = s.Post([]byte("there?\n")) // what is read tells
	}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Read(t, c, "there?\n")
	harness.Write(t, c, "yes\n")
	require.Equal(t, "yes", harness.Next(t, e.messages))
	require.Empty(t, e.closed)
}
