package harness

import "net"

// Pipes is a listener whose connections are net.Pipes, for fake time.
type Pipes struct {
	Conns  chan net.Conn // the ends that Accept returns
	closed chan struct{}
}

// NewPipes makes a listener that accepts what is sent to its Conns.
func NewPipes() *Pipes {
	return &Pipes{make(chan net.Conn), make(chan struct{})}
}

// Accept returns the next connection that is sent to Conns.
func (l *Pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.Conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. It may be called once.
func (l *Pipes) Close() error { close(l.closed); return nil }

// Addr returns an address that says "pipe".
func (l *Pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
