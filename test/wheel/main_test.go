package wheel_test

import (
	"flag"
	"testing"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestMain(m *testing.M) {
	// Parallel tests wait for processes of their own.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	harness.Main(m)
}
