package proxyproto

import "net"

// Conn is a connection with the addresses that its header told.
type Conn struct {
	net.Conn // the connection beneath, whose RemoteAddr is the proxy

	remote, local net.Addr
}

// RemoteAddr is the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// LocalAddr is the address that the client connected to.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// NetConn is the connection beneath. Nothing but the header was read from it, so
// what is read from either comes in the order of the stream.
func (c *Conn) NetConn() net.Conn { return c.Conn }
