package web

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/sessionwheel/sessionwheel/internal/httpguard"
)

// guard answers only requests for names that no stranger can own. Otherwise a page
// of another site could point its own name at this address (DNS rebinding), and the
// browser would let it read what is here. It also refuses what a browser may request on
// behalf of another site, whatever it is: the answer costs something even if the site
// cannot read it.
type guard struct {
	listening netip.Addr // the address listened on
	names     []string   // what --http-host allows, in lower case; "*" is any
	next      http.Handler
}

func newGuard(addr net.Addr, names []string, next http.Handler) *guard {
	g := &guard{next: next}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		g.listening = tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	for _, name := range names {
		g.names = append(g.names, httpguard.CanonicalHost(name))
	}
	return g
}

// ServeHTTP is called by the HTTP server, on many goroutines at once.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	httpguard.SetPolicy(w.Header())
	if name := (&url.URL{Host: r.Host}).Hostname(); !g.allows(name) {
		writeError(w, http.StatusMisdirectedRequest, fmt.Sprintf("sessionwheel does not answer for %.100q here: --http-host allows a name", name))
		return
	}
	if err := checkOrigin(r); err != nil {
		writeError(w, http.StatusForbidden, err.Error())
		return
	}
	g.next.ServeHTTP(w, r)
}

// checkOrigin refuses requests that may come from other sites, except for what has no
// data: health, and visits to the page and its login.
func checkOrigin(r *http.Request) error {
	switch r.URL.Path {
	case healthPath:
		return nil
	case "/", "/index.html", loginPath:
		if r.Method == http.MethodGet && httpguard.IsVisit(r) {
			return nil
		}
	}
	return httpguard.CheckOrigin(r)
}

// writeError answers with an error in JSON, as the page's API does.
func writeError(w http.ResponseWriter, status int, text string) {
	body, _ := json.Marshal(map[string]string{"error": text}) // a string has a form in JSON
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that is gone needs no answer
}

// allows reports whether requests for this host are answered: for loopback names,
// the address listened on, and the allowed names. Off the loopback any IP address
// is allowed too: an IP address cannot be pointed elsewhere, and the listener does
// not say which of the machine's addresses a request came through.
func (g *guard) allows(host string) bool {
	host = httpguard.CanonicalHost(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(g.names, "*") || slices.Contains(g.names, host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	return ip.IsLoopback() || ip == g.listening || !g.listening.IsLoopback()
}
