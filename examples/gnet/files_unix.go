//go:build unix

package main

import (
	"fmt"
	"syscall"
)

// spareFiles is the number of open files that a server needs besides its sessions, for
// itself and for connections that it has accepted and not refused yet.
const spareFiles = 1024

// needFiles returns an error if the limit of open files is too low for the given number
// of sessions. Go has already raised it to the hard limit. The program does not start
// then, because gnet's engine ends when accept runs out of open files.
func needFiles(sessions int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if want := uint64(sessions) + spareFiles; uint64(limit.Cur) < want {
		return fmt.Errorf("--max-sessions %d needs %d open files and the process may hold %d: lower it, or raise the limit (ulimit -n)",
			sessions, want, uint64(limit.Cur))
	}
	return nil
}
