// Package errno has the system's error numbers for connections.
package errno

import "syscall"

// The numbers. Those that package syscall has under their POSIX names never come
// from a socket on Windows.
const (
	Reset   = syscall.WSAECONNRESET
	Aborted = syscall.WSAECONNABORTED
	Refused = syscall.Errno(10061) // WSAECONNREFUSED
	InUse   = syscall.Errno(10048) // WSAEADDRINUSE
)
