//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// claimTemp locks a directory for this process. It locks the file before the file gets the
// name by which other processes find it.
func claimTemp(dir string) (*os.File, error) {
	early := filepath.Join(dir, "locking")
	f, err := os.OpenFile(early, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOLCK):
		return nil, f.Close() // this file system has no locks: other processes ignore the directory
	case err != nil:
		return nil, errors.Join(err, f.Close())
	}
	if err := os.Rename(early, lockFile(dir)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sweepOne removes a directory if it belongs to this user and no process holds its lock.
func sweepOne(dir string) {
	// Do not follow a link that another user may have put there.
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return
	}
	f, err := os.OpenFile(lockFile(dir), os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		_ = removeTemp(dir) // if it fails, the next broker tries again
	}
}
