//go:build unix

package main

import (
	"fmt"
	"syscall"
)

// spareFiles is how many open files a server needs beside its sessions: its own,
// and those of connections that were accepted and not refused yet.
const spareFiles = 1024

// needFiles returns an error if the process may not hold as many open files as
// sessions need. Go has raised the limit to the hard one already. It is worth a
// refusal to start, since gnet's engine ends when accept runs out of them.
func needFiles(sessions int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("the limit of open files: %w", err)
	}
	if want := uint64(sessions) + spareFiles; uint64(limit.Cur) < want {
		return fmt.Errorf("--max-sessions %d needs %d open files and the process may hold %d: lower it, or raise the limit (ulimit -n)",
			sessions, want, uint64(limit.Cur))
	}
	return nil
}
