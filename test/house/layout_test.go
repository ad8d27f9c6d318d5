package house_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The root is what a new reader sees first. All other tests are in test/.
func TestRoot_HoldsThreeTestFilesThatReadAsDocumentation(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	require.Equal(t, []string{"pool_test.go", "sweep_test.go", "wheel_test.go"}, files)
}

// .ci/run runs some tests once more without the race detector, by their names.
func TestCI_NamesTestsThatExist(t *testing.T) {
	script, err := os.ReadFile(".ci/run")
	require.NoError(t, err)
	pattern := regexp.MustCompile(`go test .*-run '\^\((.*)\)\$' \./test/\.\.\.`).FindSubmatch(script)
	require.NotNil(t, pattern)
	names := testNames(t)
	for _, part := range strings.Split(string(pattern[1]), "|Test") {
		part = "Test" + strings.TrimPrefix(part, "Test")
		one := regexp.MustCompile("^" + part + "$")
		require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(names)), one.MatchString), "no test is called %s", part)
	}
}
