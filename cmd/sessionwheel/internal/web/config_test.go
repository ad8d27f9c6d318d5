package web

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
)

func TestAddress_IsOfTheLoopbackUnlessAHostIsNamed(t *testing.T) {
	for given, want := range map[string]string{
		"8080": "127.0.0.1:8080", ":8080": "127.0.0.1:8080", "0": "127.0.0.1:0", "localhost:80": "localhost:80",
		"0.0.0.0:80": "0.0.0.0:80", "[::]:80": "[::]:80", "[::1]:80": "[::1]:80",
	} {
		addr, err := (&Config{HTTP: given}).addr()
		require.NoError(t, err, given)
		require.Equal(t, want, addr)
	}
}

func TestConfig_BeyondTheLoopbackWantsATokenOrToBeOpen(t *testing.T) {
	t.Setenv(flags.TokenEnv, "")
	for addr, beyond := range map[string]bool{
		"8080": false, "127.0.0.1:80": false, "127.1.2.3:80": false, "[::1]:80": false, "localhost:80": false,
		"0.0.0.0:80": true, "[::]:80": true, "192.0.2.1:80": true, "[2001:db8::1]:80": true,
	} {
		c := Config{HTTP: addr, Page: true}
		if beyond {
			require.ErrorIs(t, c.Check(), errNoToken, addr)
		} else {
			require.NoError(t, c.Check(), addr)
		}
		c.HTTPOpen = true
		require.NoError(t, c.Check(), addr)
	}
	t.Setenv(flags.TokenEnv, testToken)
	require.NoError(t, (&Config{HTTP: "0.0.0.0:80", Page: true}).Check())
}
