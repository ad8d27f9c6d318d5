//go:build unix && !freebsd && !dragonfly

package soak

import (
	"errors"
	"os"
	"syscall"
)

// openFiles is how many descriptors this process has open, and -1 where that
// cannot be told.
func openFiles() int {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return -1
	}
	return len(entries) - 1 // without the directory's own
}

// limitFiles lets this process open so many descriptors more than it has, and
// returns what takes that back.
func limitFiles(more int) (restore func() error, err error) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		return nil, os.NewSyscallError("getrlimit", err)
	}
	now := old
	if open := openFiles(); open >= 0 {
		now.Cur = min(old.Cur, uint64(open+more))
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		return nil, os.NewSyscallError("setrlimit", err)
	}
	return func() error {
		return os.NewSyscallError("setrlimit", syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old))
	}, nil
}

// openNothing takes a descriptor.
func openNothing() (*os.File, error) { return os.Open(os.DevNull) }

func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// canExhaust tells whether descriptors can be used up here.
const canExhaust = true
