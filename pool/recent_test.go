package pool

import (
	"net"
	"testing"
)

func TestPeer_IsFormattedAsTheAddressItself(t *testing.T) {
	for _, a := range []net.Addr{
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7000}, // of 16 bytes
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1).To4(), Port: 7000},
		&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 7000},
		&net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 7000, Zone: "eth0"},
		&net.TCPAddr{Port: 7000},
		&net.UDPAddr{IP: net.ParseIP("2001:db8::1"), Port: 0},
		&net.UnixAddr{Name: "/run/socket", Net: "unix"},
	} {
		if got := peerOf(a).format(); got != a.String() {
			t.Errorf("%s is formatted as %s", a, got)
		}
	}
	if got := peerOf(nil).format(); got != "" {
		t.Errorf("no address is formatted as %s", got)
	}
}

func TestPeer_OfAnIPAddressCostsNoAllocation(t *testing.T) {
	a := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7000}
	if n := testing.AllocsPerRun(100, func() { peerOf(a) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
