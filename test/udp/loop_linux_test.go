package udp_test

import (
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

// listenShared listens on an address that other sockets with this option may have
// too. The one that was bound last receives.
func listenShared(t *testing.T, addr string) *net.UDPConn {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if failed := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
		}); failed != nil {
			return failed
		}
		return err
	}}
	pc, err := lc.ListenPacket(t.Context(), "udp4", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = pc.Close() })
	return pc.(*net.UDPConn)
}

// The forger binds the server's address before the server does, so that what it
// sends comes from there and what is sent there reaches the server.
func TestLoop_AForgedDatagramDoesNotMakeAnEchoServerTalkToItself(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "0.0.0.0"} {
		t.Run(host, func(t *testing.T) {
			forger := listenShared(t, "127.0.0.1:0")
			addr := forger.LocalAddr().(*net.UDPAddr)
			srv := &udp.Server{OnMessage: echo}
			server := listenShared(t, (&net.UDPAddr{IP: net.ParseIP(host), Port: addr.Port}).String())
			serveUDP(t, srv, server)
			if host == "0.0.0.0" { // the forger's socket would get what is sent to it
				to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: addr.Port}
				_, err := forger.WriteToUDP([]byte("forged"), to)
				require.NoError(t, err)
				require.NoError(t, forger.Close())
			} else {
				_, err := forger.WriteToUDP([]byte("forged"), addr)
				require.NoError(t, err)
			}
			c := dialUDP(t, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: addr.Port})
			for range 100 {
				require.Equal(t, "hello", ask(t, c, "hello"))
			}
			harness.Until(t, func() bool { return srv.Stats().Received > 100 })
			st := srv.Stats()
			require.EqualValues(t, 101, st.Received)
			require.EqualValues(t, 100, st.Handled)
			require.EqualValues(t, 1, st.OwnAddress)
		})
	}
}
