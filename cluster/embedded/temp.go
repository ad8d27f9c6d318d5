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

// temp is the directory of a broker that is given none. Its lock tells the brokers
// that come later whether its process is still there, however that ends.
type temp struct {
	dir  string
	lock *os.File // nil where there are no such locks
}

// newTemp makes one, and removes those of processes that are gone.
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

// store is where the broker keeps what is stored.
func (t *temp) store() string { return filepath.Join(t.dir, "store") }

// remove ends the directory and then its lock.
func (t *temp) remove() error {
	err := removeTemp(t.dir)
	if t.lock != nil {
		err = errors.Join(err, t.lock.Close())
	}
	if err != nil {
		return fmt.Errorf("embedded: the temporary directory: %w", err)
	}
	return nil
}

// removeTemp removes the lock's file last: what an interruption leaves has one, and
// is removed by the next.
func removeTemp(dir string) error {
	return errors.Join(os.RemoveAll(filepath.Join(dir, "store")), os.RemoveAll(dir))
}

// lockFile is in each directory whose process has taken the lock. One without is not
// touched: it is just being made, or nobody can tell.
func lockFile(dir string) string { return filepath.Join(dir, "lock") }

// sweepTemp removes the directories that no process has. What it may not remove, it
// leaves to others.
func sweepTemp() {
	entries, err := os.ReadDir(os.TempDir())
	if err != nil {
		return // MkdirTemp says what is wrong with it
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), tempPrefix) {
			sweepOne(filepath.Join(os.TempDir(), e.Name()))
		}
	}
}
