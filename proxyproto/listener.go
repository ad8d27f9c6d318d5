package proxyproto

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	defaultHeaderTimeout = 5 * time.Second
	defaultMaxWaiting    = 1024
)

// Others says what becomes of connections from addresses that are not trusted.
type Others uint8

// What may become of them.
const (
	Refuse Others = iota // closed at once; OnError is told ErrUntrusted
	Take                 // served as they are, and a header that they send is data
)

// Config says how a [Listener] works.
type Config struct {
	// Trusted are the addresses of the proxies, whose headers are believed. It is
	// copied. None is an error: whoever wants to believe everybody says so with
	// 0.0.0.0/0 and ::/0. A peer whose address is no IP is never trusted.
	Trusted []netip.Prefix

	// Others is what becomes of connections from elsewhere.
	Others Others

	// HeaderTimeout is how long a header may take to become whole, from when the
	// connection was accepted; its bytes do not extend that. 0 means 5 seconds;
	// negative is an error.
	HeaderTimeout time.Duration

	// MaxWaiting is how many connections may wait for the end of their header or
	// for Accept at once, each on a goroutine of its own. 0 means 1024; negative is
	// an error. When one comes beyond it, the one that has waited longest for its
	// header is closed, as soon as that is a second. While all of them wait for
	// Accept, nothing more is accepted.
	MaxWaiting int

	// OnError is called for each connection that is closed for want of a header,
	// and for each that is refused, with an error that names its address and
	// holds nothing of what it sent. It runs on goroutines of the listener, on
	// several at once; while it runs for a connection that is not trusted,
	// nothing is accepted. Close waits for it, so it must not call Close. A peer
	// that closes before its first byte, as a health check does, is no error. Nil
	// means that nobody is told.
	OnError func(error)
}

// Errors that OnError is given, each matched with errors.Is.
var (
	ErrUntrusted      = errors.New("proxyproto: a connection from an address that Config.Trusted lacks")
	ErrHeader         = errors.New("proxyproto: the connection does not begin with a PROXY header that can be used")
	ErrTooLong        = fmt.Errorf("proxyproto: a header of more than %d bytes", MaxHeader)
	ErrHeaderTimeout  = errors.New("proxyproto: a header was not whole within Config.HeaderTimeout")
	ErrTooManyWaiting = errors.New("proxyproto: more connections wait for their header than Config.MaxWaiting allows")
)

// Listener is a net.Listener whose connections have the addresses of clients. Its
// methods may be called from any goroutine.
type Listener struct {
	inner   net.Listener
	config  Config
	results chan result   // to Accept; nothing waits in it
	closing chan struct{} // closed when Close begins
	closed  func() error  // what Close does, once
	running sync.WaitGroup
	waiting waiting
}

// result is what Accept returns.
type result struct {
	conn net.Conn
	err  error
}

// New begins to accept connections from l, which is the Listener's from then on:
// Close ends both. When it fails, l is still the caller's, and the error names
// the field that is wrong.
func New(l net.Listener, c Config) (*Listener, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	pl := &Listener{
		inner:   l,
		config:  c,
		results: make(chan result),
		closing: make(chan struct{}),
		waiting: waiting{places: make(chan struct{}, c.MaxWaiting)},
	}
	pl.closed = sync.OnceValue(pl.close)
	pl.running.Go(pl.accept) // ends when it is closed; Close waits for it
	return pl, nil
}

// withDefaults fills in what is zero, and names the first field that is wrong.
func (c Config) withDefaults() (Config, error) {
	if len(c.Trusted) == 0 {
		return c, errors.New("proxyproto: Config.Trusted is empty: name the prefixes of your proxies, whose headers are to be believed")
	}
	for i, p := range c.Trusted {
		if !p.IsValid() || p.Addr().Is4In6() {
			return c, fmt.Errorf("proxyproto: Config.Trusted[%d] is %v: use a valid prefix, and that of IPv4 addresses in its own form, as 192.0.2.0/24", i, p)
		}
	}
	switch {
	case c.Others > Take:
		return c, fmt.Errorf("proxyproto: Config.Others is %d: use proxyproto.Refuse or proxyproto.Take", c.Others)
	case c.HeaderTimeout < 0:
		return c, fmt.Errorf("proxyproto: Config.HeaderTimeout is %v: use a positive duration, or 0 for %v", c.HeaderTimeout, defaultHeaderTimeout)
	case c.MaxWaiting < 0:
		return c, fmt.Errorf("proxyproto: Config.MaxWaiting is %d: use a positive number, or 0 for %d", c.MaxWaiting, defaultMaxWaiting)
	}
	c.Trusted = slices.Clone(c.Trusted)
	if c.HeaderTimeout == 0 {
		c.HeaderTimeout = defaultHeaderTimeout
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = defaultMaxWaiting
	}
	return c, nil
}

// Accept returns the next connection whose header is whole, or that is taken as
// it is, and errors of the listener beneath as they are. After Close it returns
// net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case <-l.closing:
		return nil, net.ErrClosed
	default:
	}
	select {
	case r := <-l.results:
		return r.conn, r.err
	case <-l.closing:
		return nil, net.ErrClosed
	}
}

// Addr is the address of the listener beneath.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Close closes the listener beneath and all connections that Accept has not
// returned yet. It returns when the listener's goroutines have ended, with the
// error of the listener beneath; so does every further call.
func (l *Listener) Close() error { return l.closed() }

func (l *Listener) close() error {
	close(l.closing)
	err := l.inner.Close()
	for _, conn := range l.waiting.close() {
		_ = conn.Close() // nothing was sent on it
	}
	l.running.Wait()
	return err
}

func (l *Listener) isClosing() bool {
	select {
	case <-l.closing:
		return true
	default:
		return false
	}
}

// trusts reports whether headers from a are believed.
func (l *Listener) trusts(a net.Addr) bool {
	if a == nil {
		return false
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return false
	}
	ip := ap.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(l.config.Trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}
