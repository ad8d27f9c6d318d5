package harness

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzOps is the most operations that a fuzzed input stands for: longer inputs
// only repeat themselves.
const FuzzOps = 64

// Corpus reads the inputs in testdata of a fuzz target whose argument is a
// []byte.
func Corpus(t *testing.T, target string) (inputs [][]byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "fuzz", target, "*"))
	require.NoError(t, err)
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		_, quoted, ok := strings.Cut(string(text), "[]byte(")
		require.True(t, ok, name)
		data, err := strconv.Unquote(strings.TrimSuffix(strings.TrimSpace(quoted), ")"))
		require.NoError(t, err, name)
		inputs = append(inputs, []byte(data))
	}
	return inputs
}
