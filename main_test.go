package sessionwheel_test

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// helperEnv is set, or a variable whose name begins with it, in a process that
// a test starts from its own binary. Such a process is not checked for leaks.
const helperEnv = "SESSIONWHEEL_HELPER"

// TestMain fails the run if a goroutine is left behind. It does not look when
// the binary measures or fuzzes, or is a helper.
func TestMain(m *testing.M) {
	flag.Parse()
	if isHelper() || flagSet("test.bench") || flagSet("test.fuzz") || flagSet("test.fuzzworker") {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

func isHelper() bool {
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, helperEnv) {
			return true
		}
	}
	return false
}

func flagSet(name string) bool {
	f := flag.Lookup(name)
	return f != nil && f.Value.String() != f.DefValue
}

// helper is a command that runs the calling test alone in a process of its own,
// with helperEnv set to the given role.
func helper(t *testing.T, role string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), helperEnv+"="+role)
	return cmd
}
