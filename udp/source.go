package udp

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
)

// hostAddressesAge is how old the list of the machine's addresses may be when it is
// needed. An address that the machine gets or gives up counts after that time.
const hostAddressesAge = time.Second

// isPeerAddress reports whether a peer can have the address: a reply to port 0 goes
// nowhere, one to an unspecified address may come back to this machine, and one to
// a multicast or broadcast address would reach many.
func isPeerAddress(addr netip.AddrPort) bool {
	ip := addr.Addr()
	return ip.IsValid() && addr.Port() != 0 && !ip.IsUnspecified() && !ip.IsMulticast() && ip != broadcast
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// ownAddresses are the addresses under which the server's socket receives. A
// datagram from one of them is forged: a reply would come back as a request.
type ownAddresses struct {
	local netip.AddrPort // what the socket is bound to; immutable

	// The machine's addresses, if the socket is bound to all of them. They are read
	// when a datagram comes from the socket's port, so a server whose peers have
	// other ports never reads them.
	hosts atomic.Pointer[hostAddresses]
}

// hostAddresses is a list of the machine's addresses. It is immutable.
type hostAddresses struct {
	ips    map[netip.Addr]struct{}
	readAt time.Time
}

// has reports whether addr, which is not in the IPv4-mapped form, is one of them.
func (o *ownAddresses) has(addr netip.AddrPort) bool {
	if addr.Port() != o.local.Port() {
		return false
	}
	ip := addr.Addr().WithZone("")
	if bound := o.local.Addr().WithZone(""); bound.IsValid() && !bound.IsUnspecified() {
		return ip == bound
	}
	if ip.IsLoopback() { // all of 127.0.0.0/8, which no interface lists
		return true
	}
	_, own := o.host().ips[ip]
	return own
}

// host returns the machine's addresses. If they cannot be read, it returns those
// that were read before.
func (o *ownAddresses) host() *hostAddresses {
	old := o.hosts.Load()
	if old != nil && time.Since(old.readAt) < hostAddressesAge {
		return old
	}
	h := &hostAddresses{readAt: time.Now()}
	addrs, err := net.InterfaceAddrs()
	switch {
	case err == nil:
		h.ips = make(map[netip.Addr]struct{}, len(addrs))
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				ip, _ := netip.AddrFromSlice(n.IP)
				h.ips[ip.Unmap()] = struct{}{}
			}
		}
	case old != nil:
		h.ips = old.ips
	}
	o.hosts.Store(h)
	return h
}

// localAddress returns the address that a socket is bound to. An address that is
// not of IP is the zero AddrPort, which no peer has.
func localAddress(pc net.PacketConn) netip.AddrPort { return unmap(netserver.AddrPort(pc.LocalAddr())) }
