//go:build !windows

// Package errno has the system's error numbers for connections.
package errno

import "syscall"

// The numbers.
const (
	Reset   = syscall.ECONNRESET
	Aborted = syscall.ECONNABORTED
	Refused = syscall.ECONNREFUSED
	InUse   = syscall.EADDRINUSE
)
