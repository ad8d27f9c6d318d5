package proxyproto

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pp "github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"
)

// counted counts the calls of Read.
type counted struct {
	net.Conn
	calls *int
}

func (c counted) Read(p []byte) (int, error) {
	*c.calls++
	return c.Conn.Read(p)
}

func TestRead_HandsOnWhatArrivedTogetherWithTheHeaderAndThenReadsTheConnection(t *testing.T) {
	for _, size := range []int{1, 3, 1000} {
		mine, theirs := net.Pipe()
		calls := 0
		c := newConn(counted{theirs, &calls}, header{}, []byte("hello"))
		n, err := c.Read(nil)
		require.NoError(t, err)
		require.Zero(t, n)
		var got bytes.Buffer
		p := make([]byte, size)
		for got.Len() < 5 {
			n, err := c.Read(p)
			require.NoError(t, err)
			got.Write(p[:n])
		}
		require.Equal(t, "hello", got.String())
		require.Zero(t, calls)
		go func() { _, _ = io.WriteString(mine, "w") }() // ends when it is read
		n, err = c.Read(p)
		require.NoError(t, err)
		require.Equal(t, "w", string(p[:n]))
		require.NoError(t, c.Close())
		require.NoError(t, mine.Close())
	}
}

func TestRead_OfSeveralGoroutinesLosesAndRepeatsNothing(t *testing.T) {
	mine, theirs := net.Pipe()
	require.NoError(t, mine.Close()) // so that the connection ends behind the rest
	for range 200 {
		rest := make([]byte, maxV1-minHeader)
		for i := range rest {
			rest[i] = byte(i)
		}
		c := newConn(theirs, header{}, rest)
		var all sync.WaitGroup
		var got [maxV1]atomic.Int32
		start := make(chan struct{})
		for range 4 {
			all.Go(func() {
				<-start
				p := make([]byte, 1)
				for {
					n, err := c.Read(p)
					if err != nil {
						return
					}
					got[p[0]].Add(int32(n))
				}
			})
		}
		close(start)
		all.Wait()
		for _, b := range rest {
			require.EqualValues(t, 1, got[b].Load(), "byte %d", b)
		}
	}
	require.NoError(t, theirs.Close())
}

func TestRead_AfterCloseReturnsNothingOfTheRest(t *testing.T) {
	mine, theirs := net.Pipe()
	c := newConn(theirs, header{}, []byte("hello"))
	require.NoError(t, c.Close())
	_, err := c.Read(make([]byte, 5))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.NoError(t, mine.Close())
}

func TestTLVs_AreThoseOfTheHeaderInItsOrder(t *testing.T) {
	fields := "\x02\x00\x0bexample.org" + "\x04\x00\x02\x00\x00" + "\xea\x00\x03\x01vp" + "\xea\x00\x00"
	want := []pp.TLV{
		{Type: pp.PP2_TYPE_AUTHORITY, Value: []byte("example.org")},
		{Type: pp.PP2_TYPE_NOOP},
		{Type: 0xea, Value: []byte("\x01vp")},
		{Type: 0xea, Value: []byte{}},
	}
	l, told := listen(t, Config{})
	for _, head := range []string{
		v2(0x21, 0x11, from4+fields), v2(0x21, 0x21, from6+fields), v2(0x21, 0x31, strings.Repeat("/", 216)+fields),
		v2(0x20, 0x00, fields),
	} {
		dial(t, l, head+"hello")
		c := accept(t, l).(*Conn)
		tlvs, err := c.TLVs()
		require.NoError(t, err)
		require.Equal(t, want, tlvs)
		tlvs[0].Value[0] = 'E'
		again, err := c.TLVs()
		require.NoError(t, err)
		require.Equal(t, want, again, "they are copies")
		receive(t, c, "hello")
	}
	for _, head := range []string{headers[0].header, headers[2].header, v2(0x21, 0x11, from4), v2(0x20, 0x00, "")} {
		dial(t, l, head)
		tlvs, err := accept(t, l).(*Conn).TLVs()
		require.NoError(t, err)
		require.Empty(t, tlvs)
	}
	require.Empty(t, told)
}

func TestTLVs_ThatAreCutAreAnErrorAndTheAddressesHold(t *testing.T) {
	l, told := listen(t, Config{})
	for _, fields := range []string{"\x02", "\x02\x00", "\x02\x00\x04abc", "\x02\x00\x03abc\x02\xff\xff"} {
		dial(t, l, v2(0x21, 0x11, from4+fields)+"hello")
		c := accept(t, l).(*Conn)
		require.Equal(t, "203.0.113.7:12345", c.RemoteAddr().String())
		tlvs, err := c.TLVs()
		require.ErrorIs(t, err, ErrHeader)
		require.Empty(t, tlvs)
		receive(t, c, "hello")
	}
	require.Empty(t, told)
}

// unixListener returns a Listener on a Unix socket.
func unixListener(t testing.TB, c Config) (l *Listener, told chan error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pp") // t.TempDir may be too long for a socket's name
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	inner, err := net.Listen("unix", filepath.Join(dir, "s"))
	require.NoError(t, err)
	told = make(chan error, 100)
	c.OnError = func(err error) { told <- err }
	l, err = New(inner, c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l, told
}

func dialUnix(t testing.TB, l net.Listener, first string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, _ = io.WriteString(c, first) // the listener may have closed it already
	return c
}

func TestTrustUnix_ReadsTheHeadersOfAUnixSocketsPeers(t *testing.T) {
	l, told := unixListener(t, Config{TrustUnix: true})
	for _, tt := range headers {
		mine := dialUnix(t, l, tt.header+"hello")
		c := accept(t, l)
		if tt.remote != "" {
			require.Equal(t, tt.remote, c.RemoteAddr().String())
			require.Equal(t, tt.local, c.LocalAddr().String())
		} else {
			require.Equal(t, "unix", c.RemoteAddr().Network())
		}
		receive(t, c, "hello")
		send(t, c, "world")
		receive(t, mine, "world")
	}
	dialUnix(t, l, "GET / HTTP/1.1\r\n\r\n")
	require.ErrorIs(t, next(t, told), ErrHeader)
	require.NoError(t, dialUnix(t, l, "").Close())
	require.Eventually(t, func() bool { return l.Probes() == 1 }, patience, time.Millisecond)
	require.Empty(t, told)
}

func TestTrustUnix_IsOffByDefaultAndTrustsNoOtherPeer(t *testing.T) {
	l, told := unixListener(t, Config{Trusted: loopback})
	mine := dialUnix(t, l, headers[0].header)
	require.ErrorIs(t, next(t, told), ErrUntrusted)
	gone(t, mine)

	l, told = listen(t, Config{TrustUnix: true, Trusted: []netip.Prefix{}})
	mine = dial(t, l, "")
	require.ErrorIs(t, next(t, told), ErrUntrusted)
	gone(t, mine)
	require.False(t, isUnix(&net.UnixAddr{Net: "unixpacket"}), "its reads end with a packet")
	require.False(t, isUnix((*net.UnixAddr)(nil)))
	require.False(t, isUnix(nil))
}
