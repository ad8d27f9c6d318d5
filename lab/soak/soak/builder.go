package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	modulePath = "github.com/sessionwheel/sessionwheel/lab/soak"

	// noCluster is the build tag of a program without clusters. It spares most of the
	// build.
	noCluster = "nocluster"
)

// builder builds the program again, with parts replaced. It builds for one round
// at a time, and keeps what it has built until close.
type builder struct {
	dir   string // temporary; "" until something is built
	built map[string]string

	mu    sync.Mutex
	what  string        // guarded by mu: what is being built; "" if nothing is
	since time.Time     // guarded by mu: when that began
	spent time.Duration // guarded by mu: on all builds before it
}

// close removes what was built.
func (b *builder) close() {
	if b.dir != "" {
		_ = os.RemoveAll(b.dir) // a temporary directory: what is left goes with the others
	}
}

// building returns what is being built, or "", and how long that has taken.
func (b *builder) building() (what string, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.what == "" {
		return "", 0
	}
	return b.what, time.Since(b.since)
}

// total is the time spent on all builds so far.
func (b *builder) total() time.Duration {
	_, now := b.building()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent + now
}

// begin notes that what is being built from now on, until done is called.
func (b *builder) begin(what string) (done func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.what, b.since = what, time.Now()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.spent += time.Since(b.since)
		b.what = ""
	}
}

// build returns the program of that name, which it builds if it has not yet. what
// describes the program. prepare writes what the build needs into dir and returns
// the flags for it. The error is a LeftOut without a checkout or the go command.
func (b *builder) build(ctx context.Context, name, what string, prepare func(source, dir string) ([]string, error)) (string, error) {
	if exe, ok := b.built[name]; ok {
		return exe, nil
	}
	source, err := checkout()
	if err != nil {
		return "", err
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", leftOut("it builds a program of its own, and there is no go command in the PATH")
	}
	defer b.begin(what)()
	if b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "sessionwheel-soak-"); err != nil {
			return "", err
		}
		b.built = make(map[string]string)
	}
	dir := filepath.Join(b.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	flags, err := prepare(source, dir)
	if err != nil {
		return "", err
	}
	exe := filepath.Join(dir, "program")
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	if _, err := goCommand(ctx, source, append(append([]string{"build", "-buildvcs=false", "-ldflags=-w", "-o", exe}, flags...), ".")...); err != nil {
		return "", err
	}
	b.built[name] = exe
	return exe, nil
}

// goCommand runs the go command in dir, outside any workspace, and returns what
// it prints.
func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var failure tail
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("go %s in %s: %w: %s", args[0], dir, err, failure.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// checkout finds this program's module: where it was built, or in the checkout
// around the working directory.
func checkout() (string, error) {
	var tries []string
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		tries = append(tries, filepath.Dir(filepath.Dir(file)))
	}
	if dir, err := os.Getwd(); err == nil {
		for up := ""; dir != up; up, dir = dir, filepath.Dir(dir) {
			tries = append(tries, dir, filepath.Join(dir, "lab", "soak"))
		}
	}
	for _, dir := range tries {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module "+modulePath+"\n") {
			return dir, nil
		}
	}
	return "", leftOut("it builds a program of its own: run it in a checkout of the project")
}

// overlay writes what the go command's flag -overlay takes, to have it read the texts in the
// place of the files with those paths, and returns its path.
func overlay(dir string, texts map[string]string) (string, error) {
	replaced := make(map[string]string)
	for original, text := range texts {
		path, err := writeFile(dir, "overlay-"+filepath.Base(original), text)
		if err != nil {
			return "", err
		}
		replaced[original] = path
	}
	list, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	return writeFile(dir, "overlay.json", string(list))
}

func writeFile(dir, name, text string) (string, error) {
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
