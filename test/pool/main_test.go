package pool_test

import (
	"flag"
	"testing"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestMain(m *testing.M) {
	// Parallel tests wait: most of them for processes of their own that are stopped.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	harness.Main(m)
}
