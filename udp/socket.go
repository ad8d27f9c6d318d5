package udp

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
)

// socket wraps the server's net.PacketConn.
type socket struct {
	conn net.PacketConn
	fast addrPortConn // nil if conn does not implement it

	once sync.Once // closes conn
}

// addrPortConn is implemented by *net.UDPConn. Its methods do not allocate.
type addrPortConn interface {
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
}

func newSocket(pc net.PacketConn) *socket {
	fast, _ := pc.(addrPortConn)
	return &socket{conn: pc, fast: fast}
}

// read reads one datagram. It returns the zero AddrPort if the sender's address is
// not an IP address with a port.
func (k *socket) read(p []byte) (int, netip.AddrPort, error) {
	if k.fast != nil {
		n, addr, err := k.fast.ReadFromUDPAddrPort(p)
		return n, unmap(addr), err
	}
	n, from, err := k.conn.ReadFrom(p)
	if err != nil {
		return n, netip.AddrPort{}, err
	}
	return n, unmap(netserver.AddrPort(from)), nil
}

func (k *socket) write(p []byte, addr netip.AddrPort) error {
	if k.fast != nil {
		_, err := k.fast.WriteToUDPAddrPort(p, addr)
		return err
	}
	_, err := k.conn.WriteTo(p, net.UDPAddrFromAddrPort(addr))
	return err
}

// interrupt makes the current read and all later ones fail. Writes still work,
// unless the connection cannot set a deadline and has to be closed.
func (k *socket) interrupt() {
	if k.conn.SetReadDeadline(time.Unix(1, 0)) != nil {
		k.close()
	}
}

// close closes the socket. It is idempotent.
func (k *socket) close() {
	k.once.Do(func() { _ = k.conn.Close() }) // what was sent is not affected
}

// isClosed reports whether a read failed because the socket is closed.
func isClosed(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF)
}

// unmap returns a with an IPv4-mapped IPv6 address converted to IPv4.
func unmap(a netip.AddrPort) netip.AddrPort {
	if !a.Addr().Is4In6() {
		return a
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
