// Package docs_test checks the documentation: its code compiles, its commands
// run, its links lead somewhere, and its figures are the measured ones.
package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// block is a fenced block of a page.
type block struct {
	language, code string
	line           int // where the code begins
}

var fenced = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

// root is the absolute path of the checkout.
func root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	return dir
}

// page reads a file, named by its path from the root.
func page(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(name)))
	require.NoError(t, err)
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// blocksOf returns the fenced blocks of a page in the given language.
func blocksOf(t testing.TB, name, language string) (blocks []block) {
	t.Helper()
	text := page(t, name)
	for _, at := range fenced.FindAllStringSubmatchIndex(text, -1) {
		b := block{text[at[2]:at[3]], text[at[4]:at[5]], strings.Count(text[:at[4]], "\n") + 1}
		if b.language == language {
			blocks = append(blocks, b)
		}
	}
	require.NotEmpty(t, blocks, "%s has no block of %s", name, language)
	return blocks
}

// goIn runs a command of the go tool in a directory, as a user who has no
// workspace does, and returns its output. It compiles with the race detector if
// the test was, since then most packages have been compiled already.
func goIn(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	flags := "-buildvcs=false"
	if harness.RaceDetector {
		flags += " -race"
	}
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS="+flags)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "go %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// write writes a file of a test's module.
func write(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}
