package tcp_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestClose_WithoutAReasonIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{}
		events := watch(srv)
		dial := harness.ListenPipes(t, srv)
		dial()
		require.True(t, harness.Next(t, events.opened).Close(""))
		require.Equal(t, pool.Closed, harness.Next(t, events.closed))
		require.EqualValues(t, 1, srv.Stats().ByReason[pool.Closed])
		require.Equal(t, pool.Closed, srv.RecentlyClosed()[0].Reason)
	})
}

func TestBind_OfAClosingSessionTakesAnIDFromNobody(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*tcp.Session)
	}{
		{"Close", func(s *tcp.Session) { s.Close("") }},
		{"Finish", func(s *tcp.Session) { s.Finish("") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bound := make(chan error, 1)
				srv := &tcp.Server{OnMessage: func(s *tcp.Session, _ []byte) {
					tt.end(s)
					bound <- s.Bind(context.Background(), "alice", nil)
				}}
				events := watch(srv)
				dial := harness.ListenPipes(t, srv)
				dial()
				alice := harness.Next(t, events.opened)
				require.NoError(t, alice.Bind(t.Context(), "alice", nil))

				harness.Write(t, dial(), "x\n")
				require.ErrorIs(t, harness.Next(t, bound), tcp.ErrSessionClosed)
				require.Equal(t, pool.Closed, harness.Next(t, events.closed))
				synctest.Wait()
				got, ok := srv.Bound("alice")
				require.True(t, ok)
				require.Same(t, alice, got)
			})
		})
	}
}

// waiting is a directory whose ID never becomes free.
type waiting struct{ claimed chan struct{} }

func (d waiting) Claim(ctx context.Context, _ string, _ []byte, _ func(uint64)) error {
	d.claimed <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func (waiting) Release(string, uint64) {}

func TestBind_OfASessionThatClosesEndsItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := waiting{make(chan struct{})}
		srv := &tcp.Server{Directory: d}
		events := watch(srv)
		harness.ListenPipes(t, srv)()
		s := harness.Next(t, events.opened)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		bound := make(chan error, 1)
		go func() { bound <- s.Bind(ctx, "alice", nil) }() // ends with the session
		<-d.claimed
		began := time.Now()
		s.Close("Bye")
		require.ErrorIs(t, harness.Next(t, bound), tcp.ErrSessionClosed)
		require.Zero(t, time.Since(began), "it does not wait for the directory any longer")
		harness.Next(t, events.closed)
	})
}
