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

// socket is a server's net.PacketConn.
type socket struct {
	conn net.PacketConn
	fast addrPortConn // nil if conn is none

	once sync.Once // closes conn
}

// addrPortConn is what a *net.UDPConn has to read and write without an
// allocation.
type addrPortConn interface {
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
}

func newSocket(pc net.PacketConn) *socket {
	fast, _ := pc.(addrPortConn)
	return &socket{conn: pc, fast: fast}
}

// read reads one datagram. The address is the zero AddrPort if it is no IP
// address with a port.
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

// interrupt makes read fail from now on, and leaves the socket open to write to
// if it can.
func (k *socket) interrupt() {
	if k.conn.SetReadDeadline(time.Unix(1, 0)) != nil {
		k.close()
	}
}

// close closes the socket the first time.
func (k *socket) close() {
	k.once.Do(func() { _ = k.conn.Close() }) // nothing is lost that was sent
}

// gone reports whether an error of read is the end of the socket.
func gone(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF)
}

// unmap writes an IPv4 address as one.
func unmap(a netip.AddrPort) netip.AddrPort {
	if !a.Addr().Is4In6() {
		return a
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
