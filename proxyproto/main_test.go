package proxyproto_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the run if a goroutine is left behind. It does not check
// when the binary runs benchmarks or fuzz targets. It runs the clients of a benchmark if
// that has started it.
func TestMain(m *testing.M) {
	if target := os.Getenv(clientsEnv); target != "" {
		if err := runClients(target); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	for _, name := range []string{"test.bench", "test.fuzz", "test.fuzzworker"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != f.DefValue {
			os.Exit(m.Run())
		}
	}
	goleak.VerifyTestMain(m)
}
