package tcp_test

import (
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestTLS_ARecordThatIsNeverWholeEndsByTheIdleTimeout(t *testing.T) {
	t.Parallel() // it waits for a time limit
	server, client := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, IdleTimeout: 500 * time.Millisecond}
	e := watch(srv)
	raw := harness.ListenTCP(t, srv)()
	require.NoError(t, tls.Client(raw, client).Handshake())
	harness.Next(t, e.opened)
	harness.Write(t, raw, "\x17\x03\x03\x40\x00") // a record of 16 KiB of application data
	for len(e.closed) == 0 {
		_, _ = raw.Write([]byte("x"))
		time.Sleep(5 * time.Millisecond)
	}
	require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
	require.Empty(t, e.errors)
}

func TestHandshake_ThatTricklesEndsByTheHandshakeTimeout(t *testing.T) {
	t.Parallel() // it waits for a time limit
	server, _ := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, HandshakeTimeout: 500 * time.Millisecond}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "\x16\x03\x01\x40\x00\x01\x00\xff\xfb") // a ClientHello of 64 KiB
	for len(e.errors) == 0 {
		_, _ = c.Write([]byte("x"))
		time.Sleep(5 * time.Millisecond)
	}
	require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrHandshake)
	require.EqualValues(t, 1, srv.Stats().ByReason[tcp.ReasonHandshake])
	require.Empty(t, e.opened)
}

func TestHandshake_HalfDoneTakesBoundedMemory(t *testing.T) {
	server, _ := tlsConfigs(t)
	srv := &tcp.Server{TLSConfig: server, HandshakeTimeout: -1}
	e := watch(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var read atomic.Int64
	harness.ServeTCP(t, srv, reads{l, &read})
	const n, record = 10, 1 << 14
	part := "\x16\x03\x01\x40\x00\x01\x00\xff\xfb" + strings.Repeat("x", record-4)
	part += strings.Repeat("\x16\x03\x01\x40\x00"+strings.Repeat("x", record), 3)
	part = part[:len(part)-1] // all but the last byte of a ClientHello of 64 KiB
	conns := make([]net.Conn, n)
	before := harness.Heap()
	for i := range conns {
		conns[i], err = net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer conns[i].Close()
		harness.Write(t, conns[i], part)
	}
	require.Eventually(t, func() bool { return read.Load() == int64(n*len(part)) }, harness.Patience, time.Millisecond)
	held := (harness.Heap() - before) / n
	require.Greater(t, held, int64(32<<10), "it holds what came")
	require.Less(t, held, int64(256<<10))
	require.Empty(t, e.errors)
}

func TestTLS_OldVersionsAreSpokenOnlyWhenAskedFor(t *testing.T) {
	for _, tt := range []struct {
		least, version uint16
		spoken         bool
	}{
		{0, tls.VersionTLS10, false},
		{0, tls.VersionTLS11, false},
		{0, tls.VersionTLS12, true},
		{0, tls.VersionTLS13, true},
		{tls.VersionTLS13, tls.VersionTLS12, false},
		{tls.VersionTLS11, tls.VersionTLS11, true},
	} {
		server, client := tlsConfigs(t)
		server.MinVersion = tt.least
		client.MinVersion, client.MaxVersion = tt.version, tt.version
		srv := &tcp.Server{TLSConfig: server}
		e := watch(srv)
		c := tls.Client(harness.ListenTCP(t, srv)(), client)
		err := c.Handshake()
		require.Equal(t, tt.spoken, err == nil, "%s with MinVersion %s: %v", tls.VersionName(tt.version), tls.VersionName(tt.least), err)
		if tt.spoken {
			harness.Next(t, e.opened)
		} else {
			require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrHandshake)
		}
	}
}
