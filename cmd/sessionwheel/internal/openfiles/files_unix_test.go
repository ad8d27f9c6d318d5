//go:build unix && !freebsd && !dragonfly

package openfiles

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNeed_NamesTheFlagToLower(t *testing.T) {
	t.Parallel()
	require.NoError(t, Need(1, "--clients"))
	if err := Need(math.MaxInt/2, "--clients"); err != nil { // nil where there is no limit
		require.ErrorContains(t, err, "lower --clients")
	}
}
