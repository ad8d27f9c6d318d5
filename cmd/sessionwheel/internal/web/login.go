package web

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"strings"
)

const (
	healthPath = "/healthz"
	loginPath  = "/login"
	loginStyle = "body{font:16px/1.5 system-ui,sans-serif;max-width:24em;margin:15vh auto;padding:0 1em}" +
		":root{color-scheme:light dark}input{font:inherit;width:100%;box-sizing:border-box;margin:.5em 0;padding:.4em}button{font:inherit;padding:.4em 1em}"
)

// loginPolicy allows the login page its style and its form, and nothing else.
var loginPolicy = func() string {
	sum := sha256.Sum256([]byte(loginStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// gate asks for the token before what needs it. It turns a token in the page's URL,
// or from the login page's form, into a cookie.
type gate struct {
	access *access
	next   http.Handler
}

// ServeHTTP is called by the HTTP server, on many goroutines at once.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == healthPath:
		g.next.ServeHTTP(w, r)
	case r.URL.Path == loginPath && r.Method == http.MethodPost:
		g.logIn(w, r, r.PostFormValue("token"))
	case r.URL.Path == "/" && r.Method == http.MethodGet && r.URL.Query().Has("token"):
		g.logIn(w, r, r.URL.Query().Get("token"))
	case !g.access.all:
		g.next.ServeHTTP(w, r)
	default:
		if v := g.access.judge(r); v != accepted {
			refuse(w, r, v)
			return
		}
		g.next.ServeHTTP(w, r)
	}
}

// logIn gives the browser the cookie and sends it to the page, without the token in
// its address.
func (g *gate) logIn(w http.ResponseWriter, r *http.Request, token string) {
	if v := g.access.try(r, strings.TrimSpace(token)); v != accepted {
		refuse(w, r, v)
		return
	}
	cookie := g.access.cookie
	cookie.Path, cookie.HttpOnly, cookie.SameSite = "/", true, http.SameSiteStrictMode
	cookie.Secure = r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
	http.SetCookie(w, &cookie)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", "./") // relative, so that a proxy's path stays
	w.WriteHeader(http.StatusSeeOther)
}

// refuse answers a request without the right token: with the login page if a person
// asks, else with JSON.
func refuse(w http.ResponseWriter, r *http.Request, v verdict) {
	status, text := http.StatusUnauthorized, "this needs the token, as a bearer token or on the page's login"
	switch v {
	case wrong:
		text = "the token is wrong"
	case tooMany:
		status, text = http.StatusTooManyRequests, "too many tokens at once: try again in a second"
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="sessionwheel"`)
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		writeError(w, status, text)
		return
	}
	note := ""
	if v != missing {
		note = "<p role=alert>" + html.EscapeString(strings.ToUpper(text[:1])+text[1:]) + ".</p>"
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", loginPolicy)
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width"><title>sessionwheel: login</title>
<style>%s</style>
<h1>sessionwheel</h1>%s
<form method=post action=login><label>Token <input name=token type=password autocomplete=current-password autofocus required></label>
<button>Log in</button></form></html>
`, loginStyle, note)
}
