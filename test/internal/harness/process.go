package harness

import (
	"os"
	"os/exec"
	"testing"
)

// HelperEnv is set, to the role that Helper was given, in a process that a test
// starts from its own binary. A test that starts itself looks for it first.
const HelperEnv = "SESSIONWHEEL_HELPER"

// Helper returns a command that runs the calling test alone in a process of its
// own, with HelperEnv set to role.
func Helper(t *testing.T, role string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), HelperEnv+"="+role,
		"GORACE=atexit_sleep_ms=0") // the race detector would wait for a second at each exit
	return cmd
}
