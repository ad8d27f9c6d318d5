package sessionwheel_test

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
	houseModule  = "github.com/sessionwheel/sessionwheel"
	houseLibrary = "github.com/RussellLuo/timingwheel"
)

// houseImports is what a package of the core may import beside the standard
// library, in its test files too: a dependency of those would enter the go.sum
// of everyone who imports it. Itself is there for examples.
var houseImports = map[string][]string{
	"wheel": {houseLibrary, houseModule + "/wheel"},
	"pool":  {houseModule + "/wheel", houseModule + "/pool"},
	"tcp":   {houseModule + "/wheel", houseModule + "/pool", houseModule + "/tcp"},
	"udp":   {houseModule + "/wheel", houseModule + "/pool", houseModule + "/udp"},
	"dashboard": {
		houseModule + "/wheel", houseModule + "/pool", houseModule + "/tcp", houseModule + "/udp", houseModule + "/dashboard",
	},
}

// It reads the files themselves, so that no build tag hides an import.
func TestTheCoreImportsTheLibraryAndNothingElse(t *testing.T) {
	for dir, allowed := range houseImports {
		files := 0
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != dir && isModule(path): // it has a go.sum of its own
				return filepath.SkipDir
			case filepath.Ext(path) != ".go":
				return nil
			}
			files++
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, spec := range file.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				if !inStandardLibrary(imported) && !slices.Contains(allowed, imported) {
					t.Errorf("%s imports %s; package %s may import the standard library and %v", path, imported, dir, allowed)
				}
			}
			return nil
		}))
		require.NotZero(t, files, "no Go files in %s", dir)
	}
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// inStandardLibrary goes by the rule of the go command: a path whose first
// element has no dot is the standard library's. cgo is not welcome.
func inStandardLibrary(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return path != "C" && !strings.Contains(first, ".")
}

// What the library itself imports counts too, which the files of the core do not
// show.
func TestTheCoreBringsNoPackageButTheLibrarys(t *testing.T) {
	list := []string{"list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}"}
	for dir := range houseImports {
		list = append(list, "./"+dir)
	}
	for _, dep := range strings.Fields(houseGo(t, list...)) {
		in := func(module string) bool { return dep == module || strings.HasPrefix(dep, module+"/") }
		require.True(t, in(houseModule) || in(houseLibrary), "the core brings %s", dep)
	}
}

func TestTheModuleRequiresTheLibraryAndThreeModulesForItsTests(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []struct{ Old struct{ Path string } }
	}
	require.NoError(t, json.Unmarshal([]byte(houseGo(t, "mod", "edit", "-json", "go.mod")), &mod))
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	require.ElementsMatch(t, []string{
		houseLibrary,
		"github.com/stretchr/testify",
		"go.uber.org/goleak",
		"pgregory.net/rapid",
	}, direct)
	require.Empty(t, mod.Replace, "a replace does not reach those who import the module")
}

func houseGo(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	var failure strings.Builder
	cmd.Stderr = &failure
	out, err := cmd.Output()
	require.NoError(t, err, "go %v: %s", args, failure.String())
	return string(out)
}
