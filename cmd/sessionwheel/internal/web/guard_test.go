package web

import (
	"net"
	"net/http"
	"net/http/httptest"
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

func TestGuard_RefusesOtherSitesWhateverTheyAskFor(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	g := newGuard(&net.TCPAddr{IP: net.ParseIP("0.0.0.0"), Port: 80}, nil, ok)
	ask := func(path string, header http.Header) int {
		r := httptest.NewRequest(http.MethodGet, "http://192.0.2.7"+path, nil)
		r.Header = header
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		require.Equal(t, "same-origin", w.Header().Get("Cross-Origin-Resource-Policy"))
		return w.Code
	}
	const browser = "Mozilla/5.0 (X11; Linux x86_64)"
	for _, path := range []string{"/api/stats", "/metrics", "/debug/pprof/", "/debug/pprof/profile?seconds=5", "/app.js", "/nothing"} {
		require.Equal(t, 403, ask(path, http.Header{"Sec-Fetch-Site": {"cross-site"}}), path)
		require.Equal(t, 403, ask(path, http.Header{"User-Agent": {browser}}), path)
		require.Equal(t, 403, ask(path, http.Header{"User-Agent": {browser}, "Referer": {"http://evil.example/"}}), path)
		require.Equal(t, 200, ask(path, http.Header{"User-Agent": {browser}, "Referer": {"http://192.0.2.7/"}}), path)
		require.Equal(t, 200, ask(path, http.Header{"Sec-Fetch-Site": {"same-origin"}}), path)
		require.Equal(t, 200, ask(path, http.Header{"User-Agent": {"Prometheus/3.5.0"}}), path)
	}
	for _, path := range []string{"/", "/?token=x", "/index.html", "/login"} {
		require.Equal(t, 200, ask(path, http.Header{"User-Agent": {browser}}), path)
		require.Equal(t, 403, ask(path, http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Dest": {"image"}}), path)
		require.Equal(t, 200, ask(path, http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}), path)
	}
	require.Equal(t, 200, ask("/healthz", http.Header{"Sec-Fetch-Site": {"cross-site"}}))
}
