// Package proxyproto gives a server behind a load balancer the addresses of its
// clients: its [Listener] reads the PROXY protocol's header, version 1 or 2,
// with which a proxy begins each connection.
//
//	l, err := net.Listen("tcp", ":7000")
//	...
//	pl, err := proxyproto.New(l, proxyproto.Config{
//		Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")},
//	})
//	...
//	err = srv.Serve(pl)
//
// # Whom to trust
//
// A header says whatever its sender likes. So it is read only from the addresses
// that [Config.Trusted] names, and there is no default for that: a listener that
// trusted everybody would let everybody choose the address that limits and logs
// go by. Others are refused, or served as they are, as [Config.Others] says.
//
// # Accept waits for no header
//
// Headers are read on goroutines of their own, [Config.MaxWaiting] of them at
// most, and Accept returns a connection when its header is whole: from then on
// its RemoteAddr is the client's, so that a limit for each address is enforced
// where the connection is admitted. Of more connections that keep silent, those
// that have waited longest are closed, after a second at least: a proxy sends its
// header at once.
//
// # What the connections are
//
// No byte beyond the header is read. So a connection whose address is the peer's
// own, after LOCAL or UNKNOWN or since it was taken as it is, is returned as the
// listener beneath made it. Another is a [*Conn], which is the connection beneath
// with other addresses.
//
// Package tcp waits for input on a *net.TCPConn without a buffer and by one
// read; on a *Conn it also holds no buffer, but reads each burst by two reads. An
// idle connection takes 200 to 300 bytes more then.
//
// What a version 2 header tells beside addresses (its TLVs) is skipped, and its
// checksum is not verified.
package proxyproto
