package proxyproto_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the run if a goroutine is left behind. It does not check
// when the binary runs benchmarks or fuzz targets.
func TestMain(m *testing.M) {
	flag.Parse()
	for _, name := range []string{"test.bench", "test.fuzz", "test.fuzzworker"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != f.DefValue {
			os.Exit(m.Run())
		}
	}
	goleak.VerifyTestMain(m)
}
