//go:build !linux

package tcp

import "syscall"

// unacked cannot be asked for here.
func unacked(syscall.RawConn) (n int, ok bool) { return 0, false }
