package house_test

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	modulePath  = "github.com/sessionwheel/sessionwheel"
	libraryPath = "github.com/RussellLuo/timingwheel"
)

// allowedImports is what a package of the core may import beside the standard
// library and itself, in its test files too: a dependency of those would enter
// the go.sum of everyone who imports it. A package that is not listed imports the
// standard library alone.
var allowedImports = map[string][]string{
	"wheel":     {libraryPath, libraryPath + "/delayqueue", modulePath + "/internal/preempt"},
	"pool":      {modulePath + "/wheel", modulePath + "/internal/preempt"},
	"tcp":       {modulePath + "/wheel", modulePath + "/pool", modulePath + "/internal/netserver", modulePath + "/internal/preempt"},
	"udp":       {modulePath + "/wheel", modulePath + "/pool", modulePath + "/internal/netserver", modulePath + "/internal/preempt"},
	"dashboard": {modulePath + "/wheel", modulePath + "/pool", modulePath + "/tcp", modulePath + "/udp", modulePath + "/internal/httpguard"},
}

// The files themselves are read, so that no build tag hides an import.
func TestImports_OfTheCoreAreTheLibraryAndNothingElse(t *testing.T) {
	core := corePackages(t)
	for dir := range allowedImports {
		require.Contains(t, core, dir)
	}
	for _, dir := range core {
		own, allowed := modulePath+"/"+dir, allowedImports[dir]
		for _, path := range goFiles(t, dir) {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			require.NoError(t, err)
			for _, spec := range file.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				require.NoError(t, err)
				if !inStandardLibrary(imported) && !within(imported, own) && !slices.Contains(allowed, imported) {
					t.Errorf("%s imports %s; package %s may import the standard library and %v", path, imported, dir, allowed)
				}
			}
		}
	}
}

// corePackages returns the folders at the root that hold packages of this module,
// but for the tests.
func corePackages(t *testing.T) (dirs []string) {
	t.Helper()
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, e := range entries {
		if name := e.Name(); e.IsDir() && name != "test" && !strings.HasPrefix(name, ".") && len(goFiles(t, name)) > 0 {
			dirs = append(dirs, name)
		}
	}
	return dirs
}

// goFiles returns the Go files in and beneath dir that belong to this module.
func goFiles(t *testing.T, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && isModule(path): // it has a go.sum of its own
			return filepath.SkipDir
		case filepath.Ext(path) == ".go":
			paths = append(paths, path)
		}
		return nil
	}))
	return paths
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// within reports whether a package is the given one, or beneath it.
func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}

// inStandardLibrary follows the go command: a path whose first element has no dot
// belongs to the standard library. cgo is not allowed.
func inStandardLibrary(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return path != "C" && !strings.Contains(first, ".")
}

// This includes what the library itself imports.
func TestImports_OfTheCoreBringNoPackageButTheLibrarys(t *testing.T) {
	list := []string{"list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}"}
	for _, dir := range corePackages(t) {
		list = append(list, "./"+dir+"/...")
	}
	for _, dep := range strings.Fields(runGo(t, list...)) {
		require.True(t, within(dep, modulePath) || within(dep, libraryPath), "the core brings %s", dep)
	}
}

func TestModule_RequiresTheLibraryAndThreeModulesForItsTests(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []struct{ Old struct{ Path string } }
	}
	require.NoError(t, json.Unmarshal([]byte(runGo(t, "mod", "edit", "-json", "go.mod")), &mod))
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	require.ElementsMatch(t, []string{
		libraryPath,
		"github.com/stretchr/testify",
		"go.uber.org/goleak",
		"pgregory.net/rapid",
	}, direct)
	require.Empty(t, mod.Replace, "a replace does not reach those who import the module")
}

func runGo(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	var failure strings.Builder
	cmd.Stderr = &failure
	out, err := cmd.Output()
	require.NoError(t, err, "go %v: %s", args, failure.String())
	return string(out)
}
