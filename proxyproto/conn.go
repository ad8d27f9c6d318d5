package proxyproto

import (
	"bytes"
	"fmt"
	"net"
	"sync/atomic"

	pp "github.com/pires/go-proxyproto"
)

// Conn is a connection whose header was read. It has the addresses from its header, if
// there are any. Its methods may be called from any goroutine.
type Conn struct {
	net.Conn // the underlying connection, whose RemoteAddr is the proxy's

	remote, local net.Addr               // nil: the underlying connection's
	fields        *pp.Header             // for its type-length-value fields; nil: it has none
	rest          atomic.Pointer[[]byte] // what was read together with the header; nil: all of it was handed on
}

func newConn(conn net.Conn, h header, rest []byte) *Conn {
	c := &Conn{Conn: conn, remote: h.remote, local: h.local, fields: h.fields}
	if len(rest) > 0 {
		rest = bytes.Clone(rest) // without the header
		c.rest.Store(&rest)
	}
	return c
}

// RemoteAddr returns the client's address. If the header has none, it is the proxy's.
func (c *Conn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

// LocalAddr returns the address that the client connected to. If the header has none, it
// is the one that the proxy connected to.
func (c *Conn) LocalAddr() net.Addr {
	if c.local != nil {
		return c.local
	}
	return c.Conn.LocalAddr()
}

// TLVs returns the type-length-value fields of a version 2 header in their order, such as
// the client's server name or the proxy's connection ID. It returns nil if there are
// none. Padding (PP2_TYPE_NOOP) is included, without its value. The values are copies.
// Together they have less than MaxHeader bytes. The checksum among them is not verified.
//
// If a field is longer than what is left of the header, TLVs returns no field and an error
// that wraps ErrHeader. The addresses are valid nevertheless.
func (c *Conn) TLVs() ([]pp.TLV, error) {
	if c.fields == nil {
		return nil, nil
	}
	tlvs, err := c.fields.TLVs()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	return tlvs, nil
}

// Read reads from the connection what follows the header. What arrived together with the
// header is returned first, and then also after a read deadline.
func (c *Conn) Read(p []byte) (int, error) {
	if c.rest.Load() != nil {
		if n, ok := c.readRest(p); ok {
			return n, nil
		}
	}
	return c.Conn.Read(p)
}

// readRest reads what arrived together with the header. It reports false if nothing of
// it is left.
func (c *Conn) readRest(p []byte) (n int, ok bool) {
	for rest := c.rest.Load(); rest != nil; rest = c.rest.Load() {
		var left *[]byte
		n := copy(p, *rest)
		if n < len(*rest) {
			after := (*rest)[n:]
			left = &after
		}
		if c.rest.CompareAndSwap(rest, left) {
			return n, true
		}
	}
	return 0, false
}

// Close closes the connection.
func (c *Conn) Close() error {
	c.rest.Store(nil) // a Read fails from now on
	return c.Conn.Close()
}

// NetConn returns the underlying connection, for its settings. It must not be read, since
// what arrived together with the header is not there.
func (c *Conn) NetConn() net.Conn { return c.Conn }
