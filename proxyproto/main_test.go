package proxyproto_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the run if a goroutine is left behind. It does not look when
// the binary measures or fuzzes.
func TestMain(m *testing.M) {
	flag.Parse()
	for _, name := range []string{"test.bench", "test.fuzz", "test.fuzzworker"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != f.DefValue {
			os.Exit(m.Run())
		}
	}
	goleak.VerifyTestMain(m)
}
