package house_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The root is what a stranger sees first. All other tests are in test.
func TestTheRootHoldsThreeTestFilesThatReadAsDocumentation(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	require.Equal(t, []string{"pool_test.go", "sweep_test.go", "wheel_test.go"}, files)
}
