// Package proxyproto gives a server behind a load balancer the addresses of its
// clients. Its [Listener] reads the header of the PROXY protocol, version 1 or 2,
// that a proxy sends at the beginning of each connection.
//
//	l, err := net.Listen("tcp", ":7000")
//	...
//	pl, err := proxyproto.New(l, proxyproto.Config{
//		Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")},
//	})
//	...
//	err = srv.Serve(pl)
//
// # Trusted proxies
//
// A sender can put any address into a header. Headers are therefore read only from
// the addresses in [Config.Trusted], which has no default: if every sender were
// trusted, each could choose the address that limits and logs see. Connections from
// other addresses are closed, or served without reading a header, as
// [Config.Others] says.
//
// # Accept does not wait for headers
//
// Headers are read on goroutines of the listener, at most [Config.MaxWaiting] of
// them, and Accept returns a connection when its header is complete. Its RemoteAddr
// is then the client's, so a limit per address applies when the server accepts the
// connection. If too many connections send nothing, those that have waited longest
// are closed, but not before they have waited for one second; a proxy sends its
// header at once.
//
// # Connections
//
// The listener reads no byte beyond the header. If a connection keeps its own
// address, because its header is LOCAL or UNKNOWN or because none was read, Accept
// returns it as the underlying listener did. Otherwise Accept returns a [*Conn],
// which wraps the underlying connection and has other addresses.
//
// For an idle *net.TCPConn, package tcp holds no buffer and needs one read for each
// burst of input. For a *Conn it holds no buffer either, but needs two reads, and an
// idle connection takes 200 to 300 bytes more.
//
// The type-length-value fields of a version 2 header are skipped, and its checksum
// is not verified.
package proxyproto
