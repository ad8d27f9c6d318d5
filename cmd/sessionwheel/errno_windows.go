package main

import "syscall"

// What the system says of connections, by its own numbers: the ones that
// package syscall has under their POSIX names never come from a socket here.
const (
	errnoReset   = syscall.WSAECONNRESET
	errnoAborted = syscall.WSAECONNABORTED
	errnoRefused = syscall.Errno(10061) // WSAECONNREFUSED
	errnoInUse   = syscall.Errno(10048) // WSAEADDRINUSE
)
