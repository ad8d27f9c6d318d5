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
// A header that has arrived is read in one call of Read, or in two if it has more than
// 107 bytes. If Accept's connection had a header, it is a [*Conn], which wraps the
// underlying connection. Otherwise Accept returns it as the underlying listener did. A
// Conn has the addresses from the header, or the underlying connection's if the header
// is LOCAL or UNKNOWN or names no IP addresses. What arrived together with the header,
// less than 107 bytes, waits in the Conn for its first Read.
//
// Package tcp reads and writes a Conn through its methods, not past them. With a Conn, an
// echo takes about 1.15 times the processor time that it takes with a plain socket, and as
// many system calls; BenchmarkEcho compares them.
//
// The type-length-value fields of a version 2 header are returned by [Conn.TLVs]. Its
// checksum is not verified.
//
// # Unix sockets
//
// The peer of a Unix socket has no IP address. [Config.TrustUnix] trusts every peer that
// may connect to the socket, which the permissions of its file decide.
package proxyproto
