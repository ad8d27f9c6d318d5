// Package pipes has a listener for tests whose connections are net.Pipes: they work in
// fake time and hold nothing, so that what is not read is not written.
package pipes

import "net"

// Listener is a listener whose connections are net.Pipes.
type Listener struct {
	Conns  chan net.Conn // the ends that Accept returns
	closed chan struct{}
}

// New makes a listener that accepts what is sent to its Conns.
func New() *Listener {
	return &Listener{make(chan net.Conn), make(chan struct{})}
}

// Dial waits until a connection is accepted, and returns the peer's end of it.
func (l *Listener) Dial() net.Conn {
	mine, theirs := net.Pipe()
	l.Conns <- theirs
	return mine
}

// Accept returns the next connection that is sent to Conns.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.Conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. It may be called once.
func (l *Listener) Close() error { close(l.closed); return nil }

// Addr returns an address that says "pipe".
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
