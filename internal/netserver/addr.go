package netserver

import (
	"net"
	"net/netip"
)

// ipv6Prefix is the number of leading bits of an IPv6 address that identify one
// subscriber, who chooses the others freely.
const ipv6Prefix = 64

// AddrPort returns the IP address and port of a, or the zero AddrPort if a has
// none. It does not allocate for the addresses of package net.
func AddrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case nil:
		return netip.AddrPort{}
	case interface{ AddrPort() netip.AddrPort }:
		return a.AddrPort()
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return ap
}

// Network returns the address under which a limit per IP counts ip: ip itself,
// as IPv4, if it is an IPv4 address in either form, and the first address of its
// /64 network if it is an IPv6 address. It returns the zero Addr for the zero
// Addr.
func Network(ip netip.Addr) netip.Addr {
	ip = ip.Unmap()
	if !ip.Is6() {
		return ip
	}
	p, err := ip.Prefix(ipv6Prefix) // drops the zone
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}
