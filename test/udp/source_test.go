package udp_test

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/udp"
)

func TestDatagram_FromTheServersOwnAddressIsDroppedAndCounted(t *testing.T) {
	for _, tt := range []struct {
		name, local     string
		own, fromOthers []string
	}{
		{
			"bound to an address", "192.0.2.9:9000",
			[]string{"192.0.2.9:9000", "[::ffff:192.0.2.9]:9000"},
			[]string{"192.0.2.9:9001", "192.0.2.8:9000", "127.0.0.1:9000"},
		},
		{
			"bound to an address with a zone", "[fe80::1%eth0]:9000",
			[]string{"[fe80::1%eth0]:9000", "[fe80::1%2]:9000", "[fe80::1]:9000"},
			[]string{"[fe80::2%eth0]:9000"},
		},
		{
			"bound to all of IPv4", "0.0.0.0:9000",
			[]string{"127.0.0.1:9000", "127.200.0.1:9000"},
			[]string{"127.0.0.1:9001", "192.0.2.8:9000"},
		},
		{
			"bound to all of both", "[::]:9000",
			[]string{"127.0.0.1:9000", "[::1]:9000", "[::ffff:127.0.0.1]:9000"},
			[]string{"[::1]:9001", "192.0.2.8:9000", "[2001:db8::1]:9000"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := &udp.Server{OnMessage: echo}
			synctest.Test(t, func(t *testing.T) {
				e := watch(srv)
				w := newFakeSocket()
				w.local = *net.UDPAddrFromAddrPort(netip.MustParseAddrPort(tt.local))
				serveUDP(t, srv, w)
				for _, from := range tt.own {
					w.send(from, "forged")
				}
				for _, from := range tt.fromOthers {
					w.send(from, "hello")
				}
				synctest.Wait()
				require.ErrorIs(t, <-e.errors, udp.ErrOwnAddress)
				require.Empty(t, e.errors, "a flood is told of once a second")
				st := srv.Stats()
				require.EqualValues(t, len(tt.own), st.OwnAddress)
				require.EqualValues(t, len(tt.fromOthers), st.Handled)
				require.EqualValues(t, len(tt.fromOthers), st.Registered)
			})
		})
	}
}

func TestDatagram_FromAnAddressOfAnyInterfaceIsDroppedIfItsPortIsTheServers(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	require.NotEmpty(t, addrs)
	srv := &udp.Server{OnMessage: echo}
	synctest.Test(t, func(t *testing.T) {
		w := newFakeSocket()
		w.local.Port = 9000
		serveUDP(t, srv, w)
		for range 3 {
			for _, a := range addrs {
				w.in <- packet{data: "forged", addr: &net.UDPAddr{IP: a.(*net.IPNet).IP, Port: 9000}}
			}
			time.Sleep(2 * time.Second) // the list is read again
		}
		synctest.Wait()
		st := srv.Stats()
		require.EqualValues(t, 3*len(addrs), st.OwnAddress)
		require.Zero(t, st.Handled)
	})
}
