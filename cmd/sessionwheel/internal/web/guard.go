package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// guard answers only requests for names that no stranger can own. Otherwise a page
// of another site could point its own name at this address (DNS rebinding), and the
// browser would let it read what is here.
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
		g.names = append(g.names, canonicalHost(name))
	}
	return g
}

// ServeHTTP is called by the HTTP server, on many goroutines at once.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name := (&url.URL{Host: r.Host}).Hostname(); !g.allows(name) {
		http.Error(w, fmt.Sprintf("sessionwheel does not answer for %q here: --http-host allows a name", name), http.StatusMisdirectedRequest)
		return
	}
	g.next.ServeHTTP(w, r)
}

// allows reports whether requests for this host are answered: for loopback names,
// the address listened on, and the allowed names. Off the loopback any IP address
// is allowed too: an IP address cannot be pointed elsewhere, and the listener does
// not say which of the machine's addresses a request came through.
func (g *guard) allows(host string) bool {
	host = canonicalHost(host)
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

// canonicalHost returns a name in the form in which names are compared.
func canonicalHost(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// notAcrossSites refuses what a browser requests on behalf of another site. That
// holds for GET as well: the answer costs something even if the site cannot read it.
func notAcrossSites(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := *r
		asked.Method = http.MethodPost // reads are never looked at
		if err := origins.Check(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
