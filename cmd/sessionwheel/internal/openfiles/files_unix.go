//go:build unix && !freebsd && !dragonfly

// Package openfiles makes sure that a process may hold as many open files as it
// needs.
package openfiles

import (
	"fmt"
	"math"
	"syscall"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

// Need makes sure that the process may hold n more open files. It raises the soft
// limit up to the hard one if it must. The error names the flag to lower.
func Need(n int, flag string) error {
	const spare = 64 // the program's own: standard streams, pollers, listener
	want := uint64(n) + spare
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= want {
		return nil // if it is unknown, the connections will show it
	}
	if limit.Max >= want {
		raised := limit
		raised.Cur = want
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			return nil
		}
	}
	return fmt.Errorf("%s open files are needed and this process may hold %s: lower %s, or raise the limit (ulimit -n)",
		console.Count(int(want)), console.Count(int(max(limit.Cur, limit.Max))), flag)
}

// Limit returns how many open files the process may hold, or 0 if that is not known.
func Limit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Cur, math.MaxInt32))
}
