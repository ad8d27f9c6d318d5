package udp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

// startShutdown calls Shutdown and sends what it returns.
func startShutdown(ctx context.Context, srv *udp.Server) <-chan error {
	down := make(chan error, 1)
	go func() { down <- srv.Shutdown(ctx) }() // waited for by the reader of down
	return down
}

func TestShutdown_HandlesWhatIsPendingAndLetsEachSessionSayALastWord(t *testing.T) {
	srv, began, letGo := blockingServer()
	srv.Addr, srv.MaxDatagram = "127.0.0.1:0", 5
	closed := make(chan pool.Reason, 2)
	srv.OnSessionClosed = func(s *udp.Session, r pool.Reason) {
		_ = s.Send([]byte("bye"))
		closed <- r
	}
	to := listenUDP(t, srv)
	defer letGo()
	busy, idle := dialUDP(t, to), dialUDP(t, to)
	require.Equal(t, "hello", ask(t, idle, "hello"))
	write(t, busy, "block")
	require.Equal(t, "block", harness.Next(t, began))
	write(t, busy, "one")
	write(t, busy, "two")
	write(t, busy, "too large")
	harness.Until(t, func() bool { return srv.Stats().TooLarge == 1 }) // and so the others are pending

	down := startShutdown(t.Context(), srv)
	require.Equal(t, "bye", read(t, idle), "who is idle does not wait for who is busy")
	require.Equal(t, pool.Shutdown, harness.Next(t, closed))
	require.Empty(t, down, "a callback is still running")
	require.Empty(t, closed)
	letGo()
	for _, want := range []string{"block", "one", "two", "bye"} {
		require.Equal(t, want, read(t, busy))
	}
	require.NoError(t, harness.Next(t, down))
	require.Equal(t, pool.Shutdown, harness.Next(t, closed))
	require.Zero(t, srv.Stats().Late)

	again, err := net.ListenPacket("udp", to.String())
	require.NoError(t, err, "the socket is closed")
	require.NoError(t, again.Close())
	require.ErrorIs(t, srv.ListenAndServe(), udp.ErrServerClosed, "a server never serves again")
}

func TestShutdown_WhoseContextEndsClosesWhatIsLeft(t *testing.T) {
	srv, began, letGo := blockingServer()
	srv.MaxDatagram = 7
	e := watch(srv)
	to := listenUDP(t, srv)
	defer letGo()
	c := dialUDP(t, to)
	write(t, c, "block")
	harness.Next(t, began)
	s := harness.Next(t, e.opened)
	write(t, c, "pending")
	write(t, c, "too large")
	harness.Until(t, func() bool { return srv.Stats().TooLarge == 1 }) // and so the other is pending

	ctx, cancel := context.WithCancel(t.Context())
	down := startShutdown(ctx, srv)
	harness.Until(t, func() bool { return errors.Is(srv.Serve(newFakeSocket()), udp.ErrServerClosed) })
	cancel()
	err := harness.Next(t, down)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "1 sessions")
	require.ErrorIs(t, s.Send(nil), udp.ErrSessionClosed)
	require.Empty(t, e.closed, "its callback still runs")
	letGo()
	require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
	require.NoError(t, srv.Shutdown(t.Context()))
	require.EqualValues(t, 1, srv.Stats().Late)
}

func TestClose_MayBeCalledFromEachCallback(t *testing.T) {
	for _, callback := range []string{"OnNewSessionRegister", "OnMessage", "OnSessionClosed", "OnError"} {
		t.Run(callback, func(t *testing.T) {
			called := make(chan struct{}, 10)
			srv := &udp.Server{MaxDatagram: 1}
			shut := func(in string) {
				if in == callback {
					_ = srv.Close()
					called <- struct{}{}
				}
			}
			srv.OnNewSessionRegister = func(*udp.Session) { shut("OnNewSessionRegister") }
			srv.OnMessage = func(s *udp.Session, p []byte) { shut("OnMessage"); s.Close("done") }
			srv.OnSessionClosed = func(*udp.Session, pool.Reason) { shut("OnSessionClosed") }
			srv.OnError = func(*udp.Session, error) { shut("OnError") }
			c := dialUDP(t, listenUDP(t, srv))
			write(t, c, "a")
			if callback == "OnError" {
				write(t, c, "too large")
			}
			harness.Next(t, called)
			require.NoError(t, srv.Close())
		})
	}
}

func TestServe_ServesOneSocketOnce(t *testing.T) {
	srv := &udp.Server{OnMessage: echo, Addr: "127.0.0.1:0"}
	c := dialUDP(t, listenUDP(t, srv))
	require.Equal(t, "a", ask(t, c, "a"))
	other := newFakeSocket()
	require.ErrorIs(t, srv.Serve(other), udp.ErrServing)
	require.ErrorIs(t, srv.ListenAndServe(), udp.ErrServing)
	select {
	case <-other.closed:
		require.Fail(t, "the socket is the caller's")
	default:
	}
	require.Equal(t, "b", ask(t, c, "b"))
}

func TestServe_AfterTheEndServesNothing(t *testing.T) {
	for _, end := range []func(*udp.Server) error{
		(*udp.Server).Close,
		func(srv *udp.Server) error { return srv.Shutdown(context.Background()) },
	} {
		srv := &udp.Server{}
		require.NoError(t, end(srv))
		w := newFakeSocket()
		require.ErrorIs(t, srv.Serve(w), udp.ErrServerClosed)
		<-w.closed
		require.NoError(t, end(srv))
	}
}

func TestSocket_ClosedByItsOwnerEndsServeAndLeavesTheSessions(t *testing.T) {
	srv := &udp.Server{OnMessage: echo}
	e := watch(srv)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(pc) }() // ends below
	require.Equal(t, "a", ask(t, dialUDP(t, pc.LocalAddr()), "a"))
	s := harness.Next(t, e.opened)
	require.NoError(t, pc.Close())
	err = harness.Next(t, served)
	require.ErrorIs(t, err, udp.ErrRead)
	require.ErrorIs(t, err, net.ErrClosed)
	require.Equal(t, 1, srv.Stats().Sessions)
	require.ErrorIs(t, s.Send(nil), udp.ErrSessionClosed)
	require.NoError(t, srv.Shutdown(t.Context()))
	require.Equal(t, pool.Shutdown, harness.Next(t, e.closed))
	requireBalance(t, srv.Stats())
}

func TestSocket_ThatComesToItsEndIsClosedByServe(t *testing.T) {
	srv := &udp.Server{}
	w := newFakeSocket()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(w) }() // ends below
	w.in <- packet{err: io.EOF}
	require.ErrorIs(t, harness.Next(t, served), io.EOF)
	harness.Next(t, w.closed)
	require.NoError(t, srv.Shutdown(t.Context()))
}

func TestShutdown_StartsNoSession(t *testing.T) {
	for range 50 {
		srv := &udp.Server{}
		e := watch(srv)
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- srv.Serve(pc) }() // ends with Shutdown
		stop := make(chan struct{})
		flooded := make(chan struct{})
		go func() { // ends with stop at the latest, and is waited for below
			defer close(flooded)
			for range cap(e.opened) - 1 { // so that no callback blocks
				select {
				case <-stop:
					return
				default:
				}
				if c, err := net.Dial("udp", pc.LocalAddr().String()); err == nil {
					_, _ = c.Write([]byte("flood")) // refused once the server has gone
					_ = c.Close()
				}
			}
		}()
		harness.Next(t, e.opened)
		require.NoError(t, srv.Shutdown(t.Context()))
		st := srv.Stats()
		close(stop)
		harness.Next(t, flooded)
		require.ErrorIs(t, harness.Next(t, served), udp.ErrServerClosed)
		require.Equal(t, st, srv.Stats())
		requireBalance(t, st)
		require.EqualValues(t, st.Registered, 1+len(e.opened))
		require.EqualValues(t, st.Closed, len(e.closed))
	}
}
