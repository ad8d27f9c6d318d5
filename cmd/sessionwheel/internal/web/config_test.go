package web

import (
	"testing"

	"github.com/stretchr/testify/require"
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
