//go:build !unix && !windows

package netserver

import "syscall"

// There are no sockets of the system's here.
var resets, passing []syscall.Errno
