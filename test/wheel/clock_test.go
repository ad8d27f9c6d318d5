package wheel_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A test must not set the machine's clock. So this one builds another test with a
// package time that adds an offset to the wall clock and leaves the monotonic one
// alone, as the kernel does when the clock is set.
func TestWallClock_StepsMakeNothingEarlyAndLatenessStaysBounded(t *testing.T) {
	t.Parallel() // it waits for a process of its own
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	require.NoError(t, err)
	timeGo := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	source, err := os.ReadFile(timeGo)
	require.NoError(t, err)
	const reading = "sec, nsec, mono := runtimeNow()\n"
	require.Equal(t, 1, strings.Count(string(source), reading), "package time reads the clock otherwise than this test knows")
	stepped := strings.Replace(string(source), reading, reading+"\tsec += WallOffset.Load()\n", 1)

	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		timeGo: write("time.go", stepped),
		filepath.Join(filepath.Dir(timeGo), "walloffset.go"): write("walloffset.go",
			"package time\n\nimport \"sync/atomic\"\n\n// WallOffset is added to the wall clock, in seconds.\nvar WallOffset atomic.Int64\n"),
	}})
	require.NoError(t, err)
	program := filepath.Join(dir, "clockstep.test")
	out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program,
		"-overlay", write("overlay.json", string(overlay)), "./testdata/clockstep").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, name := range []string{"TestWallClock_StepsAreSurvived", "TestWallClock_StepsLeaveAnIdleProcessIdle", "TestWallClock_IsStepped"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each in a process with a clock of its own
			out, err := exec.CommandContext(t.Context(), program, "-test.v", "-test.timeout=5m", "-test.run=^"+name+"$").CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "--- PASS: "+name, "%s", out)
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "clockstep_test.go") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}
