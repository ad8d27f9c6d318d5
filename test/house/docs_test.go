package house_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	namedTest = regexp.MustCompile(`(-run )?\b((?:Test|Fuzz|Benchmark)[A-Z]\w+)`)
)

// testNames are the names of all tests of all modules, and of benchmarks and fuzz
// targets.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, match := range testFunc.FindAllStringSubmatch(string(code), -1) {
			names[match[1]] = true
		}
		return err
	}))
	return names
}

func TestPages_NameTestsThatExist(t *testing.T) {
	tests := testNames(t)
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	more, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	require.Contains(t, pages, "SECURITY.md")
	require.Contains(t, more, "docs/reliability.md")
	named := 0
	for _, page := range append(pages, more...) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range namedTest.FindAllStringSubmatch(string(text), -1) {
			named++
			switch name := m[2]; {
			case tests[name]:
			case m[1] != "" && slices.ContainsFunc(slices.Collect(maps.Keys(tests)), func(s string) bool { return strings.HasPrefix(s, name) }):
			default:
				t.Errorf("%s names %s, which is no test", page, name)
			}
		}
	}
	require.Greater(t, named, 100)
}
