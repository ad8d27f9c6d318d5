package proxyproto

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultHeaderTimeout = 5 * time.Second
	defaultMaxWaiting    = 1024
)

// Others says what happens to connections from addresses that are not trusted.
type Others uint8

const (
	Refuse Others = iota // the connection is closed, and OnError is called with ErrUntrusted
	Accept               // the connection is served as it is; a header in it is ordinary data
)

// Config configures a [Listener].
type Config struct {
	// Trusted holds the addresses of the proxies, whose headers are read. It is
	// copied. It must not be empty without TrustUnix: to trust every sender, use
	// 0.0.0.0/0 and ::/0. It never matches a peer whose address is not an IP address.
	Trusted []netip.Prefix

	// TrustUnix says that the headers of connections to a Unix socket are read, whoever
	// the peer is. Whoever may connect to the socket can claim to be any client, so let
	// the permissions of its file, or of its directory, allow only the proxy. If false,
	// the peer of a Unix socket is not trusted.
	TrustUnix bool

	// Others says what happens to connections from other addresses. The zero value
	// is Refuse.
	Others Others

	// HeaderTimeout is the time within which a header must be complete, counted
	// from Accept of the underlying listener. Parts of a header do not extend it. 0
	// means 5 seconds; negative is an error.
	HeaderTimeout time.Duration

	// MaxWaiting is the maximum number of connections that wait for the rest of
	// their header or for Accept, each with a goroutine of its own. 0 means 1024;
	// negative is an error. For a connection beyond it, the one that has waited
	// longest for its header is closed, once it has waited for one second. While
	// all of them wait for Accept, the listener accepts nothing.
	MaxWaiting int

	// OnError is called for each connection that is closed because of its header or
	// refused. The error contains the connection's address and none of its data.
	// OnError may run on several goroutines of the listener at the same time. While
	// it runs for a connection that is not trusted, the listener accepts nothing.
	// Close waits for it, so OnError must not call Close. It is not called for a
	// peer that closes or resets the connection before its first byte, such as a
	// health check, which Listener.Probes counts. May be nil.
	OnError func(error)
}

// Errors that OnError is called with, to be matched with errors.Is.
var (
	ErrUntrusted      = errors.New("proxyproto: untrusted address")            // neither in Config.Trusted nor trusted by TrustUnix
	ErrHeader         = errors.New("proxyproto: invalid header")               // the connection does not begin with a usable PROXY header
	ErrTooLong        = errors.New("proxyproto: header too long")              // more than MaxHeader bytes, or the 107 of version 1
	ErrHeaderTimeout  = errors.New("proxyproto: header timeout")               // the header was incomplete after Config.HeaderTimeout
	ErrTooManyWaiting = errors.New("proxyproto: too many connections waiting") // closed to make room, see Config.MaxWaiting

	errNoData = errors.New("proxyproto: no data") // the peer closed or reset the connection before its first byte
)

// Listener is a net.Listener whose connections have the addresses of clients. Make
// one with [New]. Its methods may be called from any goroutine.
type Listener struct {
	inner   net.Listener
	config  Config
	results chan result   // unbuffered, from deliver to Accept
	closing chan struct{} // closed when Close begins
	closed  func() error  // calls close once
	running sync.WaitGroup
	waiting waitList
	probes  atomic.Uint64
}

// result holds what Accept returns.
type result struct {
	conn net.Conn
	err  error
}

// New returns a Listener that accepts connections from l, on goroutines that run
// until Close. The Listener owns l from then on, and Close closes both. If a field
// of the Config is invalid, New returns an error that names it, and leaves l to the
// caller.
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
		waiting: waitList{slots: make(chan struct{}, c.MaxWaiting)},
	}
	pl.closed = sync.OnceValue(pl.close)
	pl.running.Go(pl.acceptLoop) // ends with Close, which waits for it
	return pl, nil
}

// withDefaults returns c with defaults for zero fields. The error names the first
// invalid field.
func (c Config) withDefaults() (Config, error) {
	if len(c.Trusted) == 0 && !c.TrustUnix {
		return c, errors.New("proxyproto: Config.Trusted is empty: name the addresses of your proxies, or set TrustUnix for a Unix socket")
	}
	for i, p := range c.Trusted {
		if !p.IsValid() || p.Addr().Is4In6() {
			return c, fmt.Errorf("proxyproto: Config.Trusted[%d] is %v: use a valid prefix, and write IPv4 as in 192.0.2.0/24", i, p)
		}
	}
	switch {
	case c.Others > Accept:
		return c, fmt.Errorf("proxyproto: Config.Others is %d: use proxyproto.Refuse or proxyproto.Accept", c.Others)
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

// Accept waits for the next connection whose header is complete or that needs none,
// and returns it. Errors of the underlying listener are returned as they are. After
// Close, Accept returns net.ErrClosed.
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

// Probes returns the number of connections that their trusted peer closed or reset
// before the first byte, as a health check does. It never goes down.
func (l *Listener) Probes() uint64 { return l.probes.Load() }

// Addr returns the address of the underlying listener.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Close closes the underlying listener and all connections that Accept has not
// returned. It waits until the Listener's goroutines have ended, including calls of
// OnError, and returns the error of the underlying listener. Every call returns the
// same.
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

// trusts reports whether the header of conn is to be read.
func (l *Listener) trusts(conn net.Conn) bool {
	if l.config.TrustUnix && isUnix(conn.LocalAddr()) { // the peer's address may be empty
		return true
	}
	return l.trustsAddr(conn.RemoteAddr())
}

// isUnix reports whether a is the address of a Unix stream socket.
func isUnix(a net.Addr) bool {
	u, ok := a.(*net.UnixAddr)
	return ok && u != nil && u.Net == "unix"
}

// trustsAddr reports whether a is one of the trusted addresses.
func (l *Listener) trustsAddr(a net.Addr) bool {
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
