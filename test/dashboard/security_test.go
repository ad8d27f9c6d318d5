package dashboard_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
)

// oneSession returns a dashboard of a pool with one session, "a".
func oneSession(t *testing.T, c dashboard.Config) (*dashboard.Handler, *pool.Session[string, addrConn]) {
	t.Helper()
	p := newPool(t, pool.Config[string, addrConn]{})
	s := register(t, p, "a", "10.1.2.3:4")
	c.Source = dashboard.Pool(p, nil, nil)
	return newHandler(t, c), s
}

func withHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func withoutHeader(name string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Del(name) }
}

func TestSecurity_EveryAnswerHasTheHeadersThatGuardThePage(t *testing.T) {
	h, _ := oneSession(t, dashboard.Config{})
	for path, cache := range map[string]string{
		"/": "no-cache", "/index.html": "no-cache", "/api/openapi.json": "no-cache", "/nothing": "",
		"/api/stats": "no-store", "/api/sessions": "no-store", "/api/sessions?x=y": "no-store", "/api/events": "no-store",
		"/api/sessions/a": "no-store", "/api/nothing": "no-store",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodPost, http.MethodOptions} {
			for _, host := range []string{"127.0.0.1", "evil.example"} {
				header := request(h, method, path, func(r *http.Request) { r.Host = host }).Header()
				require.Equal(t, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
					"base-uri 'none'; form-action 'none'; frame-ancestors 'none'", header.Get("Content-Security-Policy"))
				require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
				require.Equal(t, "same-origin", header.Get("Referrer-Policy"))
				require.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"))
				require.Equal(t, "same-origin", header.Get("Cross-Origin-Opener-Policy"))
				for name := range header {
					require.False(t, strings.HasPrefix(name, "Access-Control-"), "leave for another site: %s", name)
				}
				if method == http.MethodGet && host == "127.0.0.1" {
					require.Equal(t, cache, header.Get("Cache-Control"), path)
				}
			}
		}
	}
}

func TestSecurity_ASessionIsClosedOnlyByAnAuthorizedRequest(t *testing.T) {
	refuse := func(r *http.Request) error {
		if user, password, ok := r.BasicAuth(); ok && user == "ann" && password == "secret" {
			return nil
		}
		return errors.New("you are not ann")
	}
	ann := func(r *http.Request) { r.SetBasicAuth("ann", "secret") }
	for _, tt := range []struct {
		name      string
		authorize func(*http.Request) error
		changes   []func(*http.Request)
		want      string // in the error; "": it is closed
	}{
		{name: "read-only", want: "read-only"},
		{name: "no header", authorize: allowAll, changes: []func(*http.Request){withoutHeader("X-Sessionwheel-Request")}, want: "X-Sessionwheel-Request: 1"},
		{name: "another header", authorize: allowAll, changes: []func(*http.Request){withHeader("X-Sessionwheel-Request", "0")}, want: "X-Sessionwheel-Request: 1"},
		{name: "somebody", authorize: refuse, want: "you are not ann"},
		{name: "another site", authorize: allowAll, changes: []func(*http.Request){withHeader("Sec-Fetch-Site", "cross-site")}, want: "another site"},
		{name: "a sibling site", authorize: allowAll, changes: []func(*http.Request){withHeader("Sec-Fetch-Site", "same-site")}, want: "another site"},
		{name: "another site, in an old browser", authorize: allowAll, changes: []func(*http.Request){
			withoutHeader("Sec-Fetch-Site"), withHeader("Origin", "http://evil.example"),
		}, want: "another site"},
		{name: "ann from another site", authorize: refuse, changes: []func(*http.Request){ann, withHeader("Sec-Fetch-Site", "cross-site")}, want: "another site"},
		{name: "ann", authorize: refuse, changes: []func(*http.Request){ann}},
		{name: "an old browser", authorize: allowAll, changes: []func(*http.Request){withoutHeader("Sec-Fetch-Site"), withHeader("Origin", "http://127.0.0.1")}},
		{name: "no browser", authorize: allowAll, changes: []func(*http.Request){withoutHeader("Sec-Fetch-Site")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, s := oneSession(t, dashboard.Config{Authorize: tt.authorize})
			w := request(h, http.MethodDelete, closePath("a", s.RegisteredAt())+"&reason=Rude", tt.changes...)
			if tt.want == "" {
				require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
				require.Equal(t, pool.Reason("Rude"), s.Reason())
				return
			}
			require.Contains(t, errorText(t, w, http.StatusForbidden), tt.want)
			require.Empty(t, s.Reason())
		})
	}
}

func TestSecurity_AnUnauthorizedRequestLearnsNothingOfTheSessions(t *testing.T) {
	h, s := oneSession(t, dashboard.Config{Authorize: func(*http.Request) error { return errors.New("no") }})
	at := s.RegisteredAt()
	there := request(h, http.MethodDelete, closePath("a", at)).Body.String()
	for _, path := range []string{closePath("b", at), closePath("a", at.Add(1)), closePath("a", at) + "&reason=%07", "/api/sessions/a"} {
		require.Equal(t, there, request(h, http.MethodDelete, path).Body.String())
	}
}

func TestSecurity_AReasonIsShortAndPrintable(t *testing.T) {
	for reason, ok := range map[string]bool{
		"Kicked: too loud, 3rd time": true, strings.Repeat("x", 64): true, strings.Repeat("é", 32): true, "踢出": true,
		strings.Repeat("x", 65): false, strings.Repeat("é", 33): false,
		"a\nb": false, "\x00": false, "a\tb": false, "\xff": false, "\u202eevil": false, "\u2028": false, "\x1b[2J": false,
	} {
		h, s := oneSession(t, dashboard.Config{Authorize: allowAll})
		w := request(h, http.MethodDelete, closePath("a", s.RegisteredAt())+"&reason="+url.QueryEscape(reason))
		if ok {
			require.Equal(t, http.StatusOK, w.Code, "%q: %s", reason, w.Body)
			require.Equal(t, pool.Reason(reason), s.Reason())
			continue
		}
		require.Contains(t, errorText(t, w, http.StatusBadRequest), "reason", "%q", reason)
		require.Empty(t, s.Reason())
	}
	h, s := oneSession(t, dashboard.Config{Authorize: allowAll})
	for _, query := range []string{"reason=a&reason=b", "raeson=a", "reason=%zz", "generation=1"} {
		errorText(t, request(h, http.MethodDelete, closePath("a", s.RegisteredAt())+"&"+query), http.StatusBadRequest)
	}
	errorText(t, request(h, http.MethodDelete, closePath("b", s.RegisteredAt())), http.StatusNotFound)
	require.Empty(t, s.Reason())
	require.Equal(t, http.StatusOK, request(h, http.MethodDelete, closePath("a", s.RegisteredAt())+"&reason=").Code)
	require.Equal(t, pool.Reason("Closed by operator"), s.Reason())
}

func TestHosts_AreNamesThatNoOtherSiteCanOwn(t *testing.T) {
	h, _ := oneSession(t, dashboard.Config{Hosts: []string{"Ops.Example.com"}})
	open, _ := oneSession(t, dashboard.Config{Hosts: []string{"*"}})
	for host, ok := range map[string]bool{
		"": true, "127.0.0.1": true, "127.0.0.1:8080": true, "10.1.2.3:80": true, "[::1]": true, "[::1]:8080": true,
		"localhost": true, "LocalHost:8080": true, "localhost.": true,
		"ops.example.com": true, "OPS.example.com.:443": true,
		"example.com": false, "evil.example": false, "evil.example:8080": false, "x.ops.example.com": false,
		"ops.example.com.evil.example": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false, "127.0.0.1@evil.example": false,
	} {
		as := func(r *http.Request) { r.Host = host }
		for _, path := range []string{"/", "/api/stats", "/api/sessions", "/api/openapi.json", "/nothing"} {
			w := request(h, http.MethodGet, path, as)
			if ok {
				require.NotEqual(t, http.StatusMisdirectedRequest, w.Code, "%q %s", host, path)
				continue
			}
			require.Contains(t, errorText(t, w, http.StatusMisdirectedRequest), "Config.Hosts", "%q %s", host, path)
		}
		require.Equal(t, http.StatusOK, request(open, http.MethodGet, "/", as).Code)
	}
}

func TestSecurity_IsForItsOwnPagesAndForProgramsThatAreNoBrowsers(t *testing.T) {
	h, _ := oneSession(t, dashboard.Config{})
	const browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	for _, tt := range []struct {
		name    string
		headers map[string]string
		ok      bool
		visit   bool // the page itself can be visited
	}{
		{"its own page", map[string]string{"Sec-Fetch-Site": "same-origin", "User-Agent": browser}, true, true},
		{"an address that was typed", map[string]string{"Sec-Fetch-Site": "none", "User-Agent": browser}, true, true},
		{"another site", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, false, false},
		{"a sibling site", map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, false, false},
		{"a link on another site", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, false, true},
		{"a frame of another site", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, false, false},
		{"its own page, over plain HTTP", map[string]string{"Referer": "http://127.0.0.1/", "User-Agent": browser}, true, true},
		{"its own page, with an origin", map[string]string{"Origin": "http://127.0.0.1", "User-Agent": browser}, true, true},
		{"an image on another site, over plain HTTP", map[string]string{"User-Agent": browser}, false, true},
		{"one whose site tells its address", map[string]string{"Referer": "http://evil.example/", "User-Agent": browser}, false, true},
		{"one on another port", map[string]string{"Referer": "http://127.0.0.1:81/", "User-Agent": browser}, false, true},
		{"a script of another site", map[string]string{"Origin": "http://evil.example", "Referer": "http://127.0.0.1/"}, false, true},
		{"a sandbox", map[string]string{"Origin": "null"}, false, true},
		{"an address that is none", map[string]string{"Referer": "http://[/"}, false, true},
		{"a program", map[string]string{"User-Agent": "curl/8.14.1"}, true, true},
		{"a program without a name", nil, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			change := func(r *http.Request) {
				r.Header = http.Header{}
				for name, value := range tt.headers {
					r.Header.Set(name, value)
				}
			}
			for path, ok := range map[string]bool{
				"/api/stats": tt.ok, "/api/sessions": tt.ok, "/api/closed": tt.ok, "/api/openapi.json": tt.ok, "/app.js": tt.ok,
				"/": tt.ok || tt.visit, "/index.html": tt.ok || tt.visit,
			} {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					w := request(h, method, path, change)
					if ok {
						require.Equal(t, http.StatusOK, w.Code, "%s %s: %s", method, path, w.Body)
					} else {
						require.Contains(t, errorText(t, w, http.StatusForbidden), "another site", "%s %s", method, path)
					}
				}
			}
		})
	}
}

func TestHandler_IsMountedAnywhere(t *testing.T) {
	p := newPool(t, pool.Config[string, addrConn]{})
	h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil), Authorize: allowAll})
	index := request(h, http.MethodGet, "/").Body.String()
	require.Contains(t, index, "<html")

	subtree, exact, root, slashed := http.NewServeMux(), http.NewServeMux(), http.NewServeMux(), http.NewServeMux()
	subtree.Handle("/debug/dash/", http.StripPrefix("/debug/dash", h))
	exact.Handle("/debug/dash", http.StripPrefix("/debug/dash", h))
	exact.Handle("/debug/dash/", http.StripPrefix("/debug/dash", h))
	slashed.Handle("/debug/dash/", http.StripPrefix("/debug/dash/", h))
	root.Handle("/", h)
	for _, tt := range []struct {
		name  string
		mux   http.Handler
		mount string
	}{
		{"a subtree", subtree, "/debug/dash"},
		{"a subtree and its root", exact, "/debug/dash"},
		{"the prefix with its slash", slashed, "/debug/dash"},
		{"without a mux", http.StripPrefix("/x/a:b", h), "/x/a:b"},
		{"a prefix that reads as a host", http.StripPrefix("//evil.example", h), "//evil.example"},
		{"the root", root, "/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.mux)
			defer srv.Close()
			client := srv.Client()
			final := srv.URL + strings.TrimSuffix(tt.mount, "/") + "/"
			answer, err := client.Get(srv.URL + tt.mount + "?x=y")
			require.NoError(t, err)
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, http.StatusOK, answer.StatusCode)
			require.Equal(t, index, string(body))
			require.Equal(t, final+"?x=y", answer.Request.URL.String())

			api, err := answer.Request.URL.Parse("api/stats")
			require.NoError(t, err)
			answer, err = client.Get(api.String())
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, http.StatusOK, answer.StatusCode)

			const id = "a/b c?d%e#f"
			s := register(t, p, id, "")
			defer s.Close("over") // if it is open still
			one, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, strings.TrimSuffix(final, "/")+closePath(id, s.RegisteredAt()), nil)
			require.NoError(t, err)
			one.Header.Set("X-Sessionwheel-Request", "1")
			answer, err = client.Do(one)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, http.StatusOK, answer.StatusCode)
		})
	}
}
