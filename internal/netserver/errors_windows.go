package netserver

import "syscall"

// The error numbers of Windows sockets, which package syscall does not have.
const (
	wsaENetDown     = syscall.Errno(10050)
	wsaENetUnreach  = syscall.Errno(10051)
	wsaEConnAborted = syscall.Errno(10053)
	wsaEConnReset   = syscall.Errno(10054)
	wsaENoBufs      = syscall.Errno(10055)
	wsaEShutdown    = syscall.Errno(10058)
	wsaEHostUnreach = syscall.Errno(10065)
)

var (
	resets  = []syscall.Errno{wsaEConnReset, wsaEConnAborted, wsaEShutdown}
	passing = []syscall.Errno{wsaENoBufs, wsaENetDown, wsaENetUnreach, wsaEHostUnreach, wsaEConnReset, wsaEConnAborted}
)
