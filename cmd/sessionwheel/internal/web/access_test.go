package web

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const testToken = "a-token-of-the-tests"

// gated is what answers "here" behind a token.
func gated(all bool) *gate {
	here := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })
	return &gate{access: newAccess(testToken, "8080", all), next: here}
}

// ask has the gate answer a request, which change may change.
func ask(g *gate, method, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func from(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }

func asBrowser(r *http.Request) { r.Header.Set("Accept", "text/html,*/*") }

func TestGate_LetsNobodyInWithoutTheToken(t *testing.T) {
	g := gated(true)
	for _, path := range []string{"/", "/api/stats", "/metrics", "/debug/pprof/", "/healthz/", "/login", "//healthz"} {
		w := ask(g, "GET", path)
		require.Equal(t, 401, w.Code, path)
		require.Equal(t, `Bearer realm="sessionwheel"`, w.Header().Get("WWW-Authenticate"))
		require.JSONEq(t, `{"error":"this needs the token, as a bearer token or on the page's login"}`, w.Body.String())
	}
	require.Equal(t, "here", ask(g, "GET", "/healthz").Body.String(), "health is open")
	require.Equal(t, "here", ask(g, "DELETE", "/api/sessions/1", bearer(testToken)).Body.String())
	w := ask(g, "GET", "/", asBrowser)
	require.Equal(t, 401, w.Code)
	require.Contains(t, w.Body.String(), "<form method=post action=login>")
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
}

func TestGate_ThatIsOpenForReadingAsksOnlyBeforeAClose(t *testing.T) {
	g := gated(false)
	require.Equal(t, "here", ask(g, "GET", "/api/stats").Body.String())
	r := httptest.NewRequest("DELETE", "/api/sessions/1", nil)
	require.ErrorIs(t, g.access.authorize(r), errNeedsToken)
	bearer(testToken)(r)
	require.NoError(t, g.access.authorize(r))
}

func TestGate_TurnsTheTokenIntoACookieAndOutOfTheAddress(t *testing.T) {
	form := func(r *http.Request) {
		body := url.Values{"token": {testToken}}.Encode()
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, all := range []bool{false, true} {
		g := gated(all)
		for name, w := range map[string]*httptest.ResponseRecorder{
			"link": ask(g, "GET", "/?token="+testToken), "form": ask(g, "POST", "/login", form),
		} {
			require.Equal(t, 303, w.Code, name)
			require.Equal(t, "./", w.Header().Get("Location"), name)
			require.NotContains(t, w.Body.String(), testToken)
			cookies := w.Result().Cookies()
			require.Len(t, cookies, 1)
			c := cookies[0]
			require.Equal(t, []any{"sessionwheel_8080", "/", true, http.SameSiteStrictMode, false}, []any{c.Name, c.Path, c.HttpOnly, c.SameSite, c.Secure})
			require.NotContains(t, c.Value, testToken)
			require.Equal(t, "here", ask(g, "GET", "/api/stats", func(r *http.Request) { r.AddCookie(c) }).Body.String())
			require.Equal(t, accepted, g.access.judge(&http.Request{Header: http.Header{"Cookie": {c.Name + "=" + c.Value}}}))
			require.Equal(t, missing, g.access.judge(&http.Request{Header: http.Header{"Cookie": {c.Name + "=" + c.Value[1:]}}}))
		}
	}
	https := ask(gated(true), "GET", "/?token="+testToken, func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") })
	require.True(t, https.Result().Cookies()[0].Secure)
	require.NotEqual(t, gated(true).access.cookie.Value, gated(true).access.cookie.Value, "each run has one of its own")
}

func TestGate_AnswersAWrongTokenAfterADelay(t *testing.T) {
	for name, try := range map[string]func(*gate) *httptest.ResponseRecorder{
		"bearer": func(g *gate) *httptest.ResponseRecorder {
			return ask(g, "GET", "/api/stats", bearer(testToken+"x"))
		},
		"link": func(g *gate) *httptest.ResponseRecorder { return ask(g, "GET", "/?token=x", asBrowser) },
		"form": func(g *gate) *httptest.ResponseRecorder { return ask(g, "POST", "/login", asBrowser) },
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			w := try(gated(true))
			require.Equal(t, wrongDelay, time.Since(began), name)
			require.Equal(t, 401, w.Code, name)
			require.Empty(t, w.Result().Cookies())
			require.Contains(t, strings.ToLower(w.Body.String()), "the token is wrong")
		})
	}
}

func TestGate_JudgesOnlyAFewTokensOfAClientAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gated(true)
		var wg sync.WaitGroup
		gone, leave := context.WithCancel(t.Context())
		for range triesPerAddress {
			wg.Go(func() {
				ask(g, "GET", "/", bearer("wrong"), from("[2001:db8::1]:1000"), func(r *http.Request) { *r = *r.WithContext(gone) })
			})
		}
		synctest.Wait()
		leave() // to leave early does not save the delay
		wg.Wait()
		w := ask(g, "GET", "/", bearer(testToken), from("[2001:db8::2]:1000"))
		require.Equal(t, http.StatusTooManyRequests, w.Code, "of the same network")
		require.Equal(t, "1", w.Header().Get("Retry-After"))
		require.Equal(t, "here", ask(g, "GET", "/", bearer(testToken), from("[2001:db8:1::1]:1000")).Body.String())
		require.Equal(t, "here", ask(g, "GET", "/", bearer(testToken), from("192.0.2.1:1000")).Body.String())
		cookie := g.access.cookie
		require.Equal(t, "here", ask(g, "GET", "/", from("[2001:db8::1]:1"), func(r *http.Request) { r.AddCookie(&cookie) }).Body.String(), "a browser that is logged in is not held up")
		time.Sleep(wrongDelay)
		synctest.Wait()
		require.Equal(t, "here", ask(g, "GET", "/", bearer(testToken), from("[2001:db8::2]:1000")).Body.String())
		require.Empty(t, g.access.tries)
		require.Zero(t, g.access.sum)
	})
}
