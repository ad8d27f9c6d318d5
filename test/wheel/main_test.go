package wheel_test

import (
	"flag"
	"testing"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestMain(m *testing.M) {
	// Parallel tests wait for processes of their own, or run on fake time beside them.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	harness.Main(m)
}
