package pool_test

import (
	"flag"
	"testing"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestMain(m *testing.M) {
	// Parallel tests wait, most of them for processes of their own that are stopped, or
	// race without a look at the clock.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	harness.Main(m)
}
