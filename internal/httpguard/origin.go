package httpguard

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// ErrOtherSite is the error of CheckOrigin.
var ErrOtherSite = errors.New("the request comes from another site, or from a browser that does not say where it comes from: " +
	"follow a link on the page, use HTTPS, or use a program that is not a browser")

// CheckOrigin refuses a request that a browser may have sent on behalf of another site,
// whatever its method: an answer costs something even if the site cannot read it. It
// allows requests from the page's own origin, and from programs that are not browsers.
//
// Browsers say in Sec-Fetch-Site who asks, but over plain HTTP only on the loopback
// interface. Elsewhere the Origin counts, which comes with everything but simple reads. For
// those the Referer counts: [SetPolicy] makes the pages of this origin send it, and no
// other site can forge it. A browser that sends none of these is refused.
func CheckOrigin(r *http.Request) error {
	var same bool
	switch site, origin, referer := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin"), r.Header.Get("Referer"); {
	case site != "":
		same = site == "same-origin" || site == "none" // none: the user has typed the address
	case origin != "":
		same = hostOf(origin) == r.Host
	case referer != "":
		same = hostOf(referer) == r.Host
	default:
		same = !isBrowser(r)
	}
	if !same {
		return ErrOtherSite
	}
	return nil
}

// IsVisit reports whether a request may be for a document that the user goes to, such
// as by a link on another site. Without Sec-Fetch headers that cannot be told from
// other requests.
func IsVisit(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Site") == "" ||
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// CanonicalHost returns the form in which host names are compared.
func CanonicalHost(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// hostOf returns the host and port of a URL; "" if there are none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// isBrowser reports whether a request comes from a browser. All of them call themselves
// Mozilla or Opera, and no web site can change that.
func isBrowser(r *http.Request) bool {
	return strings.HasPrefix(r.UserAgent(), "Mozilla/") || strings.HasPrefix(r.UserAgent(), "Opera/")
}

// SetPolicy sets the headers that make browsers keep an answer from other sites, and tell
// CheckOrigin where the requests of a page come from.
func SetPolicy(header http.Header) {
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("X-Content-Type-Options", "nosniff")
}
