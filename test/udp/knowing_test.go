package udp_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

func TestContext_TellsACallbackThatItsSessionEnds(t *testing.T) {
	began, cause := make(chan struct{}), make(chan error, 1)
	srv := &udp.Server{OnMessage: func(s *udp.Session, _ []byte) {
		require.NoError(t, s.Context().Err())
		require.Empty(t, s.Reason())
		close(began)
		<-s.Context().Done()
		require.Equal(t, pool.Reason("Kicked"), s.Reason())
		cause <- context.Cause(s.Context())
	}}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send("192.0.2.1:1", "x")
		<-began
		harness.Next(t, e.opened).Close("Kicked")
		var closed *pool.ClosedError
		require.ErrorAs(t, harness.Next(t, cause), &closed)
		require.Equal(t, pool.Reason("Kicked"), closed.Reason)
		require.Equal(t, pool.Reason("Kicked"), harness.Next(t, e.closed))
	})
}

func TestDone_IsTheEndOfTheLastCallback(t *testing.T) {
	srv := &udp.Server{OnSessionClosed: func(*udp.Session, pool.Reason) { time.Sleep(time.Minute) }}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send("192.0.2.1:1", "x")
		s := harness.Next(t, e.opened)
		done := s.Done()
		began := time.Now()
		s.Close("Bye")
		select {
		case <-done:
			require.Fail(t, "OnSessionClosed has not returned")
		default:
		}
		require.Equal(t, 1, srv.Stats().Closing)
		<-done
		require.Zero(t, srv.Stats().Closing)
		require.Equal(t, time.Minute, time.Since(began))
		<-s.Done() // also for one who asks late
	})
}

func TestSession_IsShownAndLabelledWhenItHasRegistered(t *testing.T) {
	srv := &udp.Server{Label: func(s *udp.Session) string { return s.Value().(string) }}
	srv.OnNewSessionRegister = func(s *udp.Session) {
		time.Sleep(time.Minute)
		s.SetValue("alice")
	}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, _ serverEvents) {
		w.send("192.0.2.1:1", "x")
		time.Sleep(time.Second)
		require.Empty(t, slices.Collect(srv.Sessions()))
		_, ok := srv.Session(netip.MustParseAddrPort("192.0.2.1:1"))
		require.False(t, ok)
		time.Sleep(time.Minute)
		s, ok := srv.Session(netip.MustParseAddrPort("192.0.2.1:1"))
		require.True(t, ok)
		require.Equal(t, "alice", s.Label())
	})
}
