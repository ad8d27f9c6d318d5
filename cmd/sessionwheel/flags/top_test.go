package flags

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDashboardURL_IsWrittenInShort(t *testing.T) {
	for text, want := range map[string]string{
		"8080":                           "http://127.0.0.1:8080/",
		":8080":                          "http://127.0.0.1:8080/",
		"localhost:8080":                 "http://localhost:8080/",
		"[::1]:80":                       "http://[::1]:80/",
		"http://a.example":               "http://a.example/",
		"https://a.example/x":            "https://a.example/x/",
		"https://a.example/x/":           "https://a.example/x/",
		"https://me:secret@a.example/x/": "https://me:secret@a.example/x/",
	} {
		u, err := DashboardURL(text)
		require.NoError(t, err, text)
		require.Equal(t, want, u.String())
	}
	for _, text := range []string{"", "ftp://a.example/", "http://", "://", "http://a.example/?x=1", "http://a.example/#x", "99999999", ":", "a b", "\x1b[31m"} {
		_, err := DashboardURL(text)
		require.ErrorContains(t, err, "http://127.0.0.1:8080/", "%q", text)
		require.NotContains(t, err.Error(), "\x1b")
	}
}
