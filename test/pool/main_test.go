package pool_test

import (
	"flag"
	"testing"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestMain(m *testing.M) {
	// Parallel tests wait for processes of their own, most of which are stopped.
	if err := flag.Set("test.parallel", "3"); err != nil {
		panic(err)
	}
	harness.Main(m)
}
