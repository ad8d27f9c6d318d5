//go:build unix

package netserver

import "syscall"

var resets = []syscall.Errno{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE}

// passing are those that package syscall does not call temporary. On Linux, accept
// also returns errors of the network that the new connection has met already.
var passing = []syscall.Errno{
	syscall.ENOBUFS, syscall.ENOMEM, syscall.EPERM, syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP,
	syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
	syscall.ECONNABORTED, syscall.ECONNRESET,
}
