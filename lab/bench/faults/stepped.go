package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// command is the package that buildStepped builds.
const command = "github.com/sessionwheel/sessionwheel/lab/bench/cmd/faults"

// reading is the line of package time that reads the clocks.
const reading = "sec, nsec, mono := runtimeNow()\n"

// errReading says that this Go reads its clocks otherwise than buildStepped
// knows.
var errReading = errors.New("faults: package time does not read its clock with the line that the stepped copy replaces")

// buildStepped builds the command with a copy of package time that adds an
// offset to the wall reading, and leaves the monotonic one alone, as a kernel
// does when its clock is set. Nobody's clock is touched. Its files go to dir.
func buildStepped(ctx context.Context, dir string) (exe string, err error) {
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("faults: go env GOROOT: %w", err)
	}
	timeGo := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	source, err := os.ReadFile(timeGo)
	if err != nil {
		return "", fmt.Errorf("faults: %w", err)
	}
	if strings.Count(string(source), reading) != 1 {
		return "", errReading
	}
	replace := make(map[string]string)
	for path, text := range map[string]string{
		timeGo: strings.Replace(string(source), reading, reading+"\tsec += WallOffset.Load()\n", 1),
		filepath.Join(filepath.Dir(timeGo), "walloffset.go"): "package time\n\nimport \"sync/atomic\"\n\n" +
			"// WallOffset is added to the wall clock, in seconds.\nvar WallOffset atomic.Int64\n",
	} {
		replace[path] = filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("faults: %w", err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("faults: %w", err)
	}
	overlayPath := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayPath, overlay, 0o600); err != nil {
		return "", fmt.Errorf("faults: %w", err)
	}
	exe = filepath.Join(dir, "faults-stepped")
	out, err := exec.CommandContext(ctx, "go", "build", "-overlay", overlayPath, "-tags", "steppedclock", "-o", exe, command).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("faults: building a binary whose wall clock can be set (run this in the repository): %w: %s", err, out)
	}
	return exe, nil
}
