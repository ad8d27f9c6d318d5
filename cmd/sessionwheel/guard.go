package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// guard answers only for names that nobody else can own. Otherwise a page of
// another site could lead its own name to this address (DNS rebinding), and the
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

// allows tells whether requests for this host are answered: loopback names, the
// address listened on, and what is allowed by name. Off the loopback that is any
// IP address, since one cannot be led elsewhere, and which of the machine's a
// request came through is not told by the listener.
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

// canonicalHost is a name as it is compared.
func canonicalHost(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// notAcrossSites refuses what a browser asks for on behalf of another site, by
// GET as well: what is behind it costs something though that site cannot read it.
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
