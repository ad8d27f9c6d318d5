package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"github.com/sessionwheel/sessionwheel/internal/httpguard"
)

// requestHeader must be 1 in a request that closes a session.
const requestHeader = "X-Sessionwheel-Request"

var errReadOnly = errors.New("the dashboard is read-only: its Config.Authorize is nil")

const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// secure sets the security headers of every response.
func secure(header http.Header) {
	header.Set("Content-Security-Policy", contentPolicy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	httpguard.SetPolicy(header)
}

// checkHost refuses host names that an attacker may own. It allows a request without
// a Host, which no browser sends.
func (h *Handler) checkHost(r *http.Request) error {
	if r.Host == "" || slices.Contains(h.c.Hosts, "*") {
		return nil
	}
	name := (&url.URL{Host: r.Host}).Hostname()
	if _, err := netip.ParseAddr(name); err == nil {
		return nil
	}
	name = httpguard.CanonicalHost(name)
	if name == "localhost" || slices.Contains(h.c.Hosts, name) {
		return nil
	}
	return fmt.Errorf("the dashboard does not answer for the name %.100q: add it to Config.Hosts", name)
}

// checkOrigin refuses requests that a browser may have sent on behalf of another site,
// except for the page itself, which has no data: another site may have a link to it.
func checkOrigin(r *http.Request, path string) error {
	if (path == "" || path == "index.html") && httpguard.IsVisit(r) {
		return nil
	}
	return httpguard.CheckOrigin(r)
}

// checkClose returns an error unless the request may close a session.
func (h *Handler) checkClose(r *http.Request) error {
	if r.Header.Get(requestHeader) != "1" {
		return fmt.Errorf("the header %s: 1 is missing", requestHeader)
	}
	if h.c.Authorize == nil {
		return errReadOnly
	}
	return h.c.Authorize(r)
}
