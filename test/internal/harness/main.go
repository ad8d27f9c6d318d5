package harness

import (
	"flag"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests, and fails if they leave a goroutine behind. It
// does not look for goroutines when the binary runs benchmarks or fuzzes, or is a
// helper process. It is to be called from TestMain.
func Main(m *testing.M) {
	flag.Parse()
	if isHelper() || flagSet("test.bench") || flagSet("test.fuzz") || flagSet("test.fuzzworker") {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

func isHelper() bool {
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, HelperEnv) {
			return true
		}
	}
	return false
}

func flagSet(name string) bool {
	f := flag.Lookup(name)
	return f != nil && f.Value.String() != f.DefValue
}
