package tcptest

import (
	"net"
	"os"
	"sync"
	"syscall"
)

const (
	listenPort = 1000 // no client has it
	firstPort  = 1024 // of a client
	ports      = 1<<16 - firstPort
)

// Listener is a net.Listener in memory. Listen makes it. Its methods may be called from
// any goroutine.
type Listener struct {
	// Buffer is the size in bytes of the buffer that each direction of a connection has.
	// 0 and negative mean 64 KiB. It must not change while Dial runs; connections that
	// were dialled before keep theirs.
	Buffer int

	mu   sync.Mutex
	some *sync.Cond // pending or closed has changed

	// Guarded by mu.
	pending []*Conn // dialled and not accepted
	dialled int
	closed  bool
}

// Listen makes a listener. All listeners have the address 127.0.0.1:1000.
func Listen() *Listener {
	l := new(Listener)
	l.some = sync.NewCond(&l.mu)
	return l
}

// Dial connects to the listener and returns the client's side of the connection. It does
// not block: the connection waits until Accept takes it, and can be written to meanwhile.
// Any number may wait. After Close, the error is ECONNREFUSED.
//
// Each client of a listener has an address of its own: 127.0.0.1 with a port from 1024 up,
// then 127.0.0.2, and so on.
func (l *Listener) Dial() (*Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, &net.OpError{
			Op: "dial", Net: "tcp", Addr: l.Addr(),
			Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
		}
	}
	client, server := connect(clientAddr(l.dialled), listenAddr(), l.Buffer)
	l.dialled++
	l.pending = append(l.pending, server)
	l.some.Signal()
	return client, nil
}

// Accept returns the server's side of the connection that has waited longest, which is a
// *Conn. It blocks until there is one. After Close, the error is net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.pending) == 0 && !l.closed {
		l.some.Wait()
	}
	if l.closed {
		return nil, l.errClosed("accept")
	}
	c := l.pending[0]
	l.pending[0] = nil
	l.pending = l.pending[1:]
	return c, nil
}

// Close ends Accept and Dial, and resets the connections that were not accepted. Those
// that were go on. The error of a second Close is net.ErrClosed.
func (l *Listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return l.errClosed("close")
	}
	l.closed = true
	pending := l.pending
	l.pending = nil
	l.some.Broadcast()
	l.mu.Unlock()
	for _, c := range pending {
		_ = c.Cut() // no one else has it, so it is open
	}
	return nil
}

// Addr returns the listener's address, a *net.TCPAddr.
func (*Listener) Addr() net.Addr { return listenAddr() }

func (l *Listener) errClosed(op string) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
}

func listenAddr() *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: listenPort}
}

// clientAddr returns the address of the client that dialled after n others.
func clientAddr(n int) *net.TCPAddr {
	host := n/ports + 1
	return &net.TCPAddr{
		IP:   net.IPv4(127, byte(host>>16), byte(host>>8), byte(host)),
		Port: firstPort + n%ports,
	}
}
