package tcp_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestTraffic_IsWhatWasReadAndWritten(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(*testing.T, *tcp.Server) (dial func() net.Conn)
	}{
		{"sockets", func(t *testing.T, srv *tcp.Server) func() net.Conn { return harness.ListenTCP(t, srv) }},
		{"pipes", func(t *testing.T, srv *tcp.Server) func() net.Conn { return harness.ListenMemory(t, srv) }},
		{"TLS", func(t *testing.T, srv *tcp.Server) func() net.Conn {
			server, client := tlsConfigs(t)
			srv.TLSConfig = server
			dial := harness.ListenTCP(t, srv)
			return func() net.Conn { return tls.Client(dial(), client) }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const sessions, frames = 20, 50
			line := strings.Repeat("x", 99) + "\n"
			srv := &tcp.Server{OnMessage: func(s *tcp.Session, p []byte) {
				// One is sent and one queued. This fails for the half frame that becomes a whole
				// one when the test ends.
				_ = s.Send(append(p, '\n'))
				_ = s.Post(append(p, '\n'))
			}}
			require.Zero(t, srv.Traffic(), "before it serves")
			dial := tt.serve(t, srv)
			conns := make([]net.Conn, sessions)
			var writers sync.WaitGroup
			defer writers.Wait()
			for i := range conns {
				conns[i] = dial()
				writers.Go(func() { _, _ = io.WriteString(conns[i], strings.Repeat(line, frames)) }) // a failure is noticed below
				_, err := io.CopyN(io.Discard, conns[i], 2*frames*int64(len(line)))
				require.NoError(t, err)
			}
			want := tcp.Traffic{
				BytesIn: sessions * frames * 100, BytesOut: 2 * sessions * frames * 100,
				FramesIn: sessions * frames, FramesOut: 2 * sessions * frames,
			}
			require.Eventually(t, func() bool { return srv.Traffic() == want }, harness.Patience, time.Millisecond)

			// Half a frame counts as bytes but not as a frame.
			half := conns[0]
			_, err := half.Write([]byte("half"))
			require.NoError(t, err)
			for s := range srv.Sessions() {
				require.NoError(t, s.Send(nil))
				require.NoError(t, s.Post(nil))
			}
			want.BytesIn += 4
			require.Eventually(t, func() bool { return srv.Traffic() == want }, harness.Patience, time.Millisecond)
		})
	}
}

func TestTraffic_CountsAFrameWhoseCallbackPanics(t *testing.T) {
	srv := &tcp.Server{OnMessage: func(_ *tcp.Session, p []byte) {
		if bytes.Equal(p, []byte("panic")) {
			panic("on purpose")
		}
	}}
	events := watch(srv)
	conn := harness.ListenTCP(t, srv)()
	harness.Write(t, conn, "one\ntwo\npanic\nfour\n")
	harness.Next(t, events.closed)
	require.EqualValues(t, 3, srv.Traffic().FramesIn)
}

func TestTraffic_CountsALastReplyAsFarAsItWasSent(t *testing.T) {
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
		require.NoError(t, s.Post([]byte("goodbye")))
		s.Close("Bye")
	}}
	events := watch(srv)
	conn := harness.ListenTCP(t, srv)()
	harness.Write(t, conn, "quit\n")
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "goodbye", string(got))
	require.Equal(t, pool.Reason("Bye"), harness.Next(t, events.closed))
	require.Equal(t, tcp.Traffic{BytesIn: 5, BytesOut: 7, FramesIn: 1, FramesOut: 1}, srv.Traffic())
}

func TestTraffic_CountsWhatTheListenerMet(t *testing.T) {
	srv := &tcp.Server{MaxSessionsPerIP: 1}
	events := watch(srv)
	dial := harness.ListenTCP(t, srv)
	dial()
	harness.Next(t, events.opened)
	for range 3 {
		dial()
		require.ErrorIs(t, harness.Next(t, events.errors), tcp.ErrTooManyFromIP)
	}
	require.Equal(t, tcp.Traffic{RefusedPerIP: 3}, srv.Traffic())
}
