package tcp_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

func TestRecentlyClosed_TellsTheAddressesOfTheServersPeers(t *testing.T) {
	srv := &tcp.Server{IdleTimeout: 100 * time.Millisecond}
	require.Empty(t, srv.RecentlyClosed())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with Close
	defer func() {
		require.NoError(t, srv.Close())
		require.ErrorIs(t, <-served, tcp.ErrServerClosed)
	}()

	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.Eventually(t, func() bool { return len(srv.RecentlyClosed()) == 1 }, time.Minute, time.Millisecond)
	c := srv.RecentlyClosed()[0]
	require.Equal(t, int64(1), c.ID)
	require.Equal(t, conn.LocalAddr().String(), c.Address)
	require.Equal(t, pool.Timeout, c.Reason)
	require.GreaterOrEqual(t, c.Late, time.Duration(0))
	require.WithinDuration(t, time.Now(), c.At, time.Minute)
}
