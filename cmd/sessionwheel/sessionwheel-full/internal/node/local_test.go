package node

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/serve"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// registry is a directory that gives every claim its ID, under a token that grows.
type registry struct {
	last     uint64
	released chan uint64
}

func (r *registry) Claim(_ context.Context, _ string, _ []byte, activate func(uint64)) error {
	r.last++
	activate(r.last)
	return nil
}

func (r *registry) Release(_ string, token uint64) { r.released <- token }

// desk starts an echo server with a reception on the registry, and returns it as
// its node would reach it.
func desk(t *testing.T, dir *registry, log *slog.Logger) (on *local, addr string) {
	t.Helper()
	srv := serve.NewServer(serve.ServerConfig{Protocol: echo.Lines, MaxFrame: 1024}, slog.New(slog.DiscardHandler))
	srv.Directory = dir
	(&reception{ctx: t.Context(), limit: consoletest.Patience, proto: echo.Lines, log: log}).open(srv)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }() // ends with the test
	t.Cleanup(func() {
		require.NoError(t, srv.Shutdown(context.Background()))
		require.ErrorIs(t, <-served, tcp.ErrServerClosed)
	})
	return &local{server: srv, proto: echo.Lines}, ln.Addr().String()
}

func deliver(on *local, id string, token uint64, msg []byte) bool {
	ok, err := on.Deliver(context.Background(), id, token, msg)
	return ok && err == nil
}

func closeOf(on *local, id string, token uint64, why pool.Reason) bool {
	ok, err := on.Close(context.Background(), id, token, why)
	return ok && err == nil
}

func TestLocal_AMessageAndAnEvictionReachOnlyTheLoginWhoseTokenTheyCarry(t *testing.T) {
	dir := &registry{released: make(chan uint64, 1)}
	on, addr := desk(t, dir, slog.New(slog.DiscardHandler))
	require.False(t, deliver(on, "ann", 1, []byte("nobody is there")))
	require.False(t, closeOf(on, "ann", 1, "Replaced"))
	g := servetest.ConnectPeer(t, addr)
	require.Equal(t, "ok", g.Ask("login ann"))
	require.False(t, deliver(on, "ann", 2, []byte("for another login")))
	require.False(t, closeOf(on, "ann", 2, "Replaced"))
	require.True(t, deliver(on, "ann", 1, []byte("for this one")))
	require.Equal(t, "for this one", g.Hear())
	require.True(t, closeOf(on, "ann", 1, "Replaced"))
	g.Closed()
	require.EqualValues(t, 1, <-dir.released)
	require.False(t, deliver(on, "ann", 1, []byte("it has ended")))
}

// eager tells of a login before it is answered, and waits a moment.
type eager struct {
	slog.Handler
	told chan struct{}
}

func (h eager) Enabled(context.Context, slog.Level) bool { return true }

func (h eager) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h eager) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "login" {
		close(h.told)
		time.Sleep(100 * time.Millisecond) // a message that did not wait would go first
	}
	return nil
}

func TestLocal_AMessageFromAnotherNodeComesAfterTheAnswerToTheLogin(t *testing.T) {
	h := eager{Handler: slog.DiscardHandler, told: make(chan struct{})}
	on, addr := desk(t, &registry{released: make(chan uint64, 1)}, slog.New(h))
	delivered := make(chan bool, 1)
	go func() { // ends with the login
		<-h.told
		delivered <- deliver(on, "ann", 1, []byte("hello"))
	}()
	g := servetest.ConnectPeer(t, addr)
	require.Equal(t, "ok", g.Ask("login ann"))
	require.Equal(t, "hello", g.Hear())
	require.True(t, <-delivered)
}

func TestLocal_ASessionThatEndsWithoutALoginDelaysNoMessage(t *testing.T) {
	on, addr := desk(t, &registry{released: make(chan uint64, 1)}, slog.New(slog.DiscardHandler))
	g := servetest.ConnectPeer(t, addr)
	require.Contains(t, g.Ask("login"), "error: ")
	for s := range on.server.Sessions() {
		require.NoError(t, g.Close())
		select {
		case <-s.Value().(*serve.Session).Greeted():
		case <-time.After(consoletest.Patience):
			require.FailNow(t, "a message would wait for good")
		}
	}
}
