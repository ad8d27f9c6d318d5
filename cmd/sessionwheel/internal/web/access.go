package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// What a client that tries tokens is allowed.
const (
	wrongDelay      = time.Second // until the answer to a wrong token
	triesPerAddress = 4           // tokens of one address that are being judged
	triesInAll      = 128         // of all addresses
)

// errNeedsToken is the answer to a request to close a session without the token.
var errNeedsToken = errors.New("closing a session needs the token: open the page at the address with ?token= that the server printed, or send the token as a bearer token")

// access lets in those who have the token, or the cookie that a browser gets for it.
type access struct {
	all    bool // reading needs the token as well, not only closing a session
	token  [sha256.Size]byte
	cookie http.Cookie // with the name and the value; the value is as good as the token
	delay  time.Duration

	mu    sync.Mutex
	tries map[netip.Prefix]int // guarded by mu: tokens being judged, by client
	sum   int                  // guarded by mu: of tries
}

// newAccess makes the access for a token. The port makes the cookie's name that of
// this server: browsers do not tell ports apart.
func newAccess(token, port string, all bool) *access {
	return &access{
		all: all, token: sha256.Sum256([]byte(token)), delay: wrongDelay,
		cookie: http.Cookie{Name: "sessionwheel_" + port, Value: rand.Text() + rand.Text()},
		tries:  make(map[netip.Prefix]int),
	}
}

// verdict is what comes of a request's credentials.
type verdict int

const (
	missing  verdict = iota // there are none
	accepted                // they are right
	wrong                   // they are not; the answer was delayed
	tooMany                 // they were not judged: the client tries too many at once
)

// judge judges the credentials of a request: the cookie, or a bearer token. It
// waits for a while if they are wrong.
func (a *access) judge(r *http.Request) verdict {
	if c, err := r.Cookie(a.cookie.Name); err == nil && same([]byte(c.Value), []byte(a.cookie.Value)) {
		return accepted
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return missing
	}
	return a.try(r, strings.TrimSpace(token))
}

// try judges a token. A wrong one takes one of the client's tries until the delay is
// over, also if the client does not wait for the answer.
func (a *access) try(r *http.Request, token string) verdict {
	client := clientOf(r)
	if !a.begin(client) {
		return tooMany
	}
	hash := sha256.Sum256([]byte(token))
	if same(hash[:], a.token[:]) {
		a.end(client)
		return accepted
	}
	time.AfterFunc(a.delay, func() { a.end(client) })
	timer := time.NewTimer(a.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
	return wrong
}

func same(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// begin takes one of the client's tries, and reports whether there was one left.
func (a *access) begin(client netip.Prefix) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tries[client] >= triesPerAddress || a.sum >= triesInAll {
		return false
	}
	a.tries[client]++
	a.sum++
	return true
}

// end gives a try back.
func (a *access) end(client netip.Prefix) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sum--
	if a.tries[client]--; a.tries[client] == 0 {
		delete(a.tries, client)
	}
}

// clientOf is the address that a request comes from, or its /64 network for IPv6.
func clientOf(r *http.Request) netip.Prefix {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{} // all of these share their tries
	}
	addr, bits := from.Addr().Unmap().WithZone(""), 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // it fits both
	return p
}

// authorize lets a request close a session, as dashboard.Config.Authorize says.
func (a *access) authorize(r *http.Request) error {
	switch a.judge(r) {
	case accepted:
		return nil
	case wrong:
		return errors.New("the token is wrong")
	case tooMany:
		return errors.New("too many tokens at once: try again in a second")
	default:
		return errNeedsToken
	}
}
