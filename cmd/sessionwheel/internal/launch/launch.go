// Package launch starts the programs that sessionwheel hands a command to. They
// are programs of their own because they depend on much that the others do not
// need: who runs the demo should not have to build a message broker first.
package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

const project = "github.com/sessionwheel/sessionwheel"

// Program is a program that sessionwheel starts in its own place.
type Program struct {
	Name  string // of its binary
	About string // what it has and the others do not
	Dir   string // of its module, which is its main package too, from the checkout's root

	// Alone says that the module reaches the project's other modules by replace
	// directives of its own. It is built outside the workspace then, and the go
	// command does not install it.
	Alone bool
}

// The programs.
var (
	Top   = Program{Name: "sessionwheel-top", About: "the live view in the terminal", Dir: "cmd/sessionwheel/sessionwheel-top"}
	Full  = Program{Name: "sessionwheel-full", About: "clusters and metrics", Dir: "cmd/sessionwheel/sessionwheel-full"}
	Soak  = Program{Name: "sessionwheel-soak", About: "the search for broken guarantees", Dir: "lab/soak", Alone: true}
	Bench = Program{Name: "sessionwheel-bench", About: "the benchmarks and the rivals", Dir: "lab/bench", Alone: true}
)

// Run runs the program in the place of this one: it gets the arguments, the
// standard streams and the signals, and its exit status becomes this program's.
// A program that is not installed is built first, if there is a checkout; what is
// built is shown on std.Err.
func (p Program) Run(ctx context.Context, std console.Std, args []string) error {
	exe, err := p.find(ctx, std, places())
	if err != nil {
		return err
	}
	return replace(exe, append([]string{p.Name}, args...))
}

// find returns the path of the program's binary: the one beside this program, the
// one in PATH, or one that it builds from the checkout around one of the folders.
func (p Program) find(ctx context.Context, std console.Std, dirs []string) (string, error) {
	file := p.Name
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	if self, err := os.Executable(); err == nil {
		if exe, err := exec.LookPath(filepath.Join(filepath.Dir(self), file)); err == nil {
			return exe, nil
		}
	}
	if exe, err := exec.LookPath(file); err == nil {
		return exe, nil
	}
	root, ok := checkout(dirs)
	if !ok {
		return "", p.absent("and this is no checkout of sessionwheel to build it from")
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", p.absent("and the go command, which would build it from " + root + ", is not in PATH either")
	}
	dir, err := builds(root)
	if err != nil {
		return "", err
	}
	b := build{program: p, root: root, target: filepath.Join(dir, file)}
	return b.target, b.run(ctx, std)
}

// absent says that the program is nowhere, and what to do.
func (p Program) absent(why string) error {
	fix := fmt.Sprintf("run sessionwheel in a checkout: git clone https://%s", project)
	if !p.Alone {
		fix = fmt.Sprintf("install it with \"go install %s/%s@latest\"", project, p.Dir)
	}
	return fmt.Errorf("the program %s, which has %s, is neither beside this one nor in PATH, %s: %s", p.Name, p.About, why, fix)
}

// errNoCache is returned where nothing could be kept.
var errNoCache = errors.New("no folder to build in")

// builds returns the folder for programs built from the checkout at root. It is
// the same each time, so that the go command finds what is up to date.
func builds(root string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		dir, err := os.MkdirTemp("", "sessionwheel-")
		if err != nil {
			return "", fmt.Errorf("%w: %w", errNoCache, err)
		}
		return dir, nil
	}
	dir := filepath.Join(cache, "sessionwheel", digest(root))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("%w: %w", errNoCache, err)
	}
	return dir, nil
}
