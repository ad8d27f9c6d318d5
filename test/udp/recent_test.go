package udp_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

func TestRecentlyClosed_TellsTheAddressesOfTheServersPeers(t *testing.T) {
	srv := &udp.Server{IdleTimeout: 100 * time.Millisecond}
	require.Empty(t, srv.RecentlyClosed())
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(pc) }() // ends with Close
	defer func() {
		require.NoError(t, srv.Close())
		require.ErrorIs(t, <-served, udp.ErrServerClosed)
	}()

	conn, err := net.Dial("udp", pc.LocalAddr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("hello"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(srv.RecentlyClosed()) == 1 }, time.Minute, time.Millisecond)
	c := srv.RecentlyClosed()[0]
	require.Equal(t, conn.LocalAddr().String(), c.ID.String())
	require.Equal(t, c.ID.String(), c.Address)
	require.Equal(t, pool.Timeout, c.Reason)
}
