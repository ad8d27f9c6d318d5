// Package netserver holds what the servers of packages tcp and udp share: the
// error for a panic in a callback, the address that a limit per IP counts, and
// the pauses after errors of a socket.
package netserver
