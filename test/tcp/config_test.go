package tcp_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestServe_NamesAWrongFieldAndItsFix(t *testing.T) {
	for want, srv := range map[string]*tcp.Server{
		"Server.MaxFrame": {MaxFrame: -1},
		"Server.Activity": {Activity: 3},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		err = srv.Serve(l)
		require.ErrorContains(t, err, want+" is ")
		require.ErrorContains(t, err, ": use ")
		_, err = l.Accept()
		require.ErrorIs(t, err, net.ErrClosed, "the listener is closed when Serve returns")
		require.NoError(t, srv.Close())
	}
	require.ErrorContains(t, new(tcp.Server).ListenAndServe(), "Server.Addr is empty: use ")
	srv := &tcp.Server{Addr: "no such host.invalid:1"}
	require.ErrorContains(t, srv.ListenAndServe(), "Server.Addr")
	require.NoError(t, srv.Close())
}

func TestMaxSessions_NegativeIsNoLimit(t *testing.T) {
	srv := &tcp.Server{MaxSessions: -1, MaxSessionsPerIP: -1, MaxLifetime: -1, IdleTimeout: -1}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	for range 3 {
		dial()
		harness.Next(t, e.opened)
	}
	require.Equal(t, 3, srv.Stats().Sessions)
	require.Empty(t, e.errors)
}
