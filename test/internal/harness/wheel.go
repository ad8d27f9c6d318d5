package harness

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// NewWheel makes a wheel that is closed when the test, or its bubble, ends.
func NewWheel(t testing.TB, c wheel.Config) *wheel.Wheel {
	t.Helper()
	w, err := wheel.New(c)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}
