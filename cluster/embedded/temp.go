package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// tempPrefix begins the names of the temporary directories.
const tempPrefix = "sessionwheel-broker-"

// temp is the temporary directory of a broker without a Dir. Its lock shows whether its
// process is still running, so that a later broker can remove the directory of a process
// that was killed.
type temp struct {
	dir  string
	lock *os.File // nil if the system has no such locks
}

// newTemp makes a temporary directory, and removes those of processes that have ended.
func newTemp() (*temp, error) {
	sweepTemp()
	dir, err := os.MkdirTemp("", tempPrefix)
	if err != nil {
		return nil, err
	}
	lock, err := claimTemp(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &temp{dir, lock}, nil
}

// store returns the directory for the broker's data.
func (t *temp) store() string { return filepath.Join(t.dir, "store") }

// remove removes the directory and then releases its lock.
func (t *temp) remove() error {
	err := removeTemp(t.dir)
	if t.lock != nil {
		err = errors.Join(err, t.lock.Close())
	}
	if err != nil {
		return fmt.Errorf("embedded: temporary directory: %w", err)
	}
	return nil
}

// removeTemp removes a temporary directory, and the file of its lock last. If it is
// interrupted, the rest still has a lock, and a later broker removes it.
func removeTemp(dir string) error {
	return errors.Join(os.RemoveAll(filepath.Join(dir, "store")), os.RemoveAll(dir))
}

// lockFile returns the path of a directory's lock. A directory without one is not
// touched: it may have been made just now.
func lockFile(dir string) string { return filepath.Join(dir, "lock") }

// sweepTemp removes the temporary directories of processes that have ended. It ignores
// errors, which may be due to directories of other users.
func sweepTemp() {
	entries, err := os.ReadDir(os.TempDir())
	if err != nil {
		return // MkdirTemp fails too, and its error is reported
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), tempPrefix) {
			sweepOne(filepath.Join(os.TempDir(), e.Name()))
		}
	}
}
