package tcp_test

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// A peer can make a server log a limited amount.
func TestLogger_IsNotFilledByAStormOfConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log harness.LogBuffer
		srv := &tcp.Server{MaxSessions: 1, Logger: harness.Logger(&log, slog.LevelInfo)}
		dial := harness.ListenMemory(t, srv)
		dial()
		for range 1000 {
			dial()
		}
		synctest.Wait()
		require.EqualValues(t, 1000, srv.Stats().RefusedFull)
		require.Equal(t, 100, strings.Count(log.String(), "\n"), log.String())
	})
}

func TestLogger_GetsHowASessionEndedAndNothingOfWhatItSent(t *testing.T) {
	var log harness.LogBuffer
	srv := &tcp.Server{
		Logger:   slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		MaxFrame: 10,
	}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	harness.Write(t, c, "secret1\nsecret2\nsecret3secret4")
	require.Equal(t, tcp.ReasonTooLarge, harness.Next(t, e.closed))
	for _, want := range []string{
		"session opened", "session closed", "session=1", "remote=" + c.LocalAddr().String(),
		"reason=TooLarge", "frames=2", "idle=", "age=", "error=",
	} {
		require.Contains(t, log.String(), want)
	}
	require.NotContains(t, log.String(), "secret")
	require.NotEmpty(t, fmt.Sprint(harness.Next(t, e.errors)))
}

// garbage is text that shares no two letters in a row with any message.
const garbage = "qzxjqvkqqzxj"

func TestLogger_GetsNothingOfGarbage(t *testing.T) {
	t.Parallel() // it waits for time limits
	server, client := tlsConfigs(t)
	for _, tt := range []struct {
		name string
		srv  *tcp.Server
		send func(t *testing.T, c net.Conn)
		want error
	}{
		{"too large", &tcp.Server{MaxFrame: 20}, func(t *testing.T, c net.Conn) { harness.Write(t, c, strings.Repeat(garbage, 3)) }, tcp.ErrTooLarge},
		{"no frame", &tcp.Server{Split: tcp.ScanFrames}, func(t *testing.T, c net.Conn) { harness.Write(t, c, garbage) }, tcp.ErrBadFrame},
		{"a wrong marker", &tcp.Server{Split: tcp.ScanFrames}, func(t *testing.T, c net.Conn) { harness.Write(t, c, "$"+garbage) }, tcp.ErrBadFrame},
		{"half a frame", &tcp.Server{FrameTimeout: 50 * time.Millisecond}, func(t *testing.T, c net.Conn) { harness.Write(t, c, garbage) }, tcp.ErrFrameTimeout},
		{"a peer that resets", &tcp.Server{FrameTimeout: -1}, func(t *testing.T, c net.Conn) {
			harness.Write(t, c, garbage)
			require.NoError(t, c.(*net.TCPConn).SetLinger(0))
			require.NoError(t, c.Close())
		}, tcp.ErrRead},
		{"no TLS", &tcp.Server{TLSConfig: server}, func(t *testing.T, c net.Conn) { harness.Write(t, c, garbage) }, tcp.ErrHandshake},
		{"no record of TLS", &tcp.Server{TLSConfig: server}, func(t *testing.T, c net.Conn) {
			require.NoError(t, tls.Client(c, client).Handshake())
			harness.Write(t, c, "\x17\x03\x03\x00\x0c"+garbage)
		}, tcp.ErrRead},
		{"a peer that does not read", &tcp.Server{WriteTimeout: 50 * time.Millisecond, OnMessage: func(s *tcp.Session, p []byte) {
			for s.Send(p) == nil {
				continue
			}
		}}, func(t *testing.T, c net.Conn) { harness.Write(t, c, strings.Repeat(garbage, 1000)+"\n") }, tcp.ErrSlow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log harness.LogBuffer
			tt.srv.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			e := watch(tt.srv)
			tt.send(t, harness.ListenTCP(t, tt.srv)())
			require.ErrorIs(t, harness.Next(t, e.errors), tt.want)
			require.NoError(t, tt.srv.Shutdown(t.Context()))
			for i := range len(garbage) - 1 {
				require.NotContains(t, log.String(), garbage[i:i+2])
			}
			require.Contains(t, log.String(), "reason=")
			require.LessOrEqual(t, strings.Count(log.String(), "\n"), 3, "opened, fault, closed")
		})
	}
}

// SECURITY.md says that these may hold a peer's bytes: the value of a panic, the
// protocols that were offered to crypto/tls, and the caller's reasons and Split
// errors.
func TestLogger_GetsWhatAPeerMayChooseEscaped(t *testing.T) {
	const forged = garbage + "\nlevel=ERROR msg=forged"
	server, client := tlsConfigs(t)
	server.NextProtos = []string{"mine"}
	for name, srv := range map[string]*tcp.Server{
		"panic":  {OnMessage: func(*tcp.Session, []byte) { panic(forged) }},
		"reason": {OnMessage: func(s *tcp.Session, _ []byte) { s.Close(forged) }},
		"split":  {Split: func([]byte, bool) (int, []byte, error) { return 0, nil, fmt.Errorf("%s", forged) }},
		"TLS":    {TLSConfig: server},
	} {
		t.Run(name, func(t *testing.T) {
			var log harness.LogBuffer
			srv.Logger = slog.New(slog.NewTextHandler(&log, nil))
			watch(srv)
			c := harness.ListenTCP(t, srv)()
			if name == "TLS" {
				config := client.Clone()
				config.NextProtos = []string{forged}
				require.Error(t, tls.Client(c, config).Handshake())
			} else {
				harness.Write(t, c, "x\n")
			}
			harness.WaitClosed(t, c)
			require.NoError(t, srv.Shutdown(t.Context()))
			require.Contains(t, log.String(), garbage)
			require.NotContains(t, log.String(), "\nlevel=ERROR msg=forged", "slog's handlers escape it")
		})
	}
}
