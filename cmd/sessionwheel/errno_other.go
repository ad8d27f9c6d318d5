//go:build !windows

package main

import "syscall"

// What the system says of connections, by its own numbers.
const (
	errnoReset   = syscall.ECONNRESET
	errnoAborted = syscall.ECONNABORTED
	errnoRefused = syscall.ECONNREFUSED
	errnoInUse   = syscall.EADDRINUSE
)
