package proxyproto

import "net"

// Conn is a connection with the addresses from its header. Its other methods are
// those of the underlying connection.
type Conn struct {
	net.Conn // the underlying connection, whose RemoteAddr is the proxy's

	remote, local net.Addr
}

// RemoteAddr returns the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// LocalAddr returns the address that the client connected to.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// NetConn returns the underlying connection. Only the header was read from it, and
// nothing is buffered, so it may be read instead of the Conn.
func (c *Conn) NetConn() net.Conn { return c.Conn }
