package launch

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// places returns where a checkout may be found: at the working directory, and
// where this program was built.
func places() (dirs []string) {
	if dir, err := os.Getwd(); err == nil {
		dirs = append(dirs, dir)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) { // it is not if -trimpath was given
		dirs = append(dirs, filepath.Dir(file))
	}
	return dirs
}

// checkout returns the root of the first checkout around one of the folders.
func checkout(dirs []string) (root string, ok bool) {
	for _, dir := range dirs {
		for up := ""; dir != up; up, dir = dir, filepath.Dir(dir) {
			if isRoot(dir) {
				return dir, true
			}
		}
	}
	return "", false
}

func isRoot(dir string) bool {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !strings.HasPrefix(string(mod), "module "+project+"\n") {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, "go.work"))
	return err == nil
}

// digest is a name for a path, for use as a file's.
func digest(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:6])
}
