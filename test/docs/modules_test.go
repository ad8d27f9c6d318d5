package docs_test

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each nested module is imported by a module of its own, made by the README's
// lines and no others.
func TestReplaceLines_OfTheReadmeAreEnoughForEachNestedModule(t *testing.T) {
	t.Parallel()
	setup := make(map[string]string) // the line for a module
	for _, b := range blocksOf(t, "README.md", "sh") {
		for line := range strings.Lines(b.code) {
			if rest, ok := strings.CutPrefix(line, "go mod edit -replace "); ok {
				module, target, _ := strings.Cut(strings.TrimSpace(rest), "=")
				checkout, ok := strings.CutPrefix(target, "../sessionwheel")
				require.True(t, ok, line)
				setup[module] = "-replace=" + module + "=" + root(t) + checkout
			}
		}
	}
	for _, name := range []string{"metrics", "cluster", "proxyproto"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			module := path.Join(core, name)
			require.Contains(t, setup, core)
			require.Contains(t, setup, module)
			dir := t.TempDir()
			write(t, dir, "go.mod", "module example.org/server\n\ngo 1.26\n")
			write(t, dir, "server.go", fmt.Sprintf("package server\n\nimport (\n\t_ %q\n\t_ %q\n)\n", core+"/pool", module))
			goIn(t, dir, "mod", "edit", setup[core], setup[module])
			goIn(t, dir, "mod", "tidy")
			goIn(t, dir, "build")
		})
	}
}
