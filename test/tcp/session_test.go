package tcp_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestSession_IsFoundFromTheEndOfItsFirstCallbackUntilItIsClosed(t *testing.T) {
	srv := &tcp.Server{}
	srv.OnNewSessionRegister = func(s *tcp.Session) {
		_, ok := srv.Session(s.ID())
		s.SetValue(ok || len(slices.Collect(srv.Sessions())) > 0)
	}
	_, ok := srv.Session(1)
	require.False(t, ok)
	require.Zero(t, srv.Stats())
	require.Empty(t, slices.Collect(srv.Sessions()))

	closed := make(chan *tcp.Session, 1)
	srv.OnSessionClosed = func(s *tcp.Session, _ pool.Reason) { closed <- s }
	srv.OnMessage = harness.EchoLine
	dial := harness.ListenTCP(t, srv)
	for id := int64(1); id <= 3; id++ {
		c := dial()
		harness.Write(t, c, "hi\n")
		harness.Read(t, c, "hi\n")
		s, ok := srv.Session(id)
		require.True(t, ok)
		require.Equal(t, id, s.ID())
		require.Equal(t, false, s.Value(), "what its OnNewSessionRegister saw")
		require.Equal(t, []*tcp.Session{s}, slices.Collect(srv.Sessions()))
		require.Equal(t, c.LocalAddr().String(), s.RemoteAddr().String())
		require.Equal(t, 1, srv.Stats().Sessions)
		require.NoError(t, c.Close())
		require.Same(t, s, harness.Next(t, closed))
		_, ok = srv.Session(id)
		require.False(t, ok)
		s.SetValue(42) // still harmless
		require.Equal(t, 42, s.Value())
	}
	require.EqualValues(t, 3, srv.Stats().ByReason[tcp.ReasonEOF])
}

func TestSession_TellsItsAddressesAndWhenItWasActive(t *testing.T) {
	srv := &tcp.Server{}
	events := watch(srv)
	before := time.Now()
	conn := harness.ListenTCP(t, srv)()
	s := harness.Next(t, events.opened)
	require.Equal(t, conn.RemoteAddr().String(), s.LocalAddr().String())
	require.Equal(t, conn.LocalAddr().String(), s.RemoteAddr().String())
	require.False(t, s.RegisteredAt().Before(before))
	require.False(t, s.LastActive().Before(s.RegisteredAt()))

	sent := time.Now()
	harness.Write(t, conn, "hello\n")
	harness.Next(t, events.messages)
	require.Eventually(t, func() bool { return !s.LastActive().Before(sent) }, harness.Patience, time.Millisecond)
	require.True(t, s.RegisteredAt().Before(sent), "when it was registered does not change")
	require.Eventually(t, func() bool { // it is held until its message has been handled
		at, ok := s.Deadline()
		return ok && at.Equal(s.LastActive().Add(5*time.Minute))
	}, harness.Patience, time.Millisecond)
}
