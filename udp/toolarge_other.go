//go:build !windows

package udp

// wasCut is never true here: a datagram that had to be cut fills the buffer,
// which is a byte longer than MaxDatagram.
func wasCut(error) bool { return false }
