package web

import (
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGuard_AnswersForAnyIPAddressOffTheLoopback(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, listening := range []string{"0.0.0.0", "::", "192.0.2.1"} {
		g := newGuard(&net.TCPAddr{IP: net.ParseIP(listening), Port: 80}, []string{"ops.example"}, ok)
		for host, want := range map[string]bool{
			"192.0.2.7": true, "2001:db8::1": true, "fe80::1%eth0": true, "localhost": true, "ops.example": true, "evil.example": false, "": false,
		} {
			require.Equal(t, want, g.allows(host), "%s on %s", host, listening)
		}
	}
	g := newGuard(&net.TCPAddr{IP: net.ParseIP("127.0.0.1"), Port: 80}, nil, ok)
	require.False(t, g.allows("192.0.2.7"))
}
