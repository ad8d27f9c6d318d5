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

// commandPackage is the package that buildStepped builds.
const commandPackage = "github.com/sessionwheel/sessionwheel/lab/bench/cmd/faults"

// clockLine is the line of package time that reads the clocks.
const clockLine = "sec, nsec, mono := runtimeNow()\n"

// errClockLine is returned if package time has no clockLine.
var errClockLine = errors.New("faults: this version of Go reads the clock in another way than buildStepped expects")

// buildStepped builds the command with a copy of package time that adds an
// offset to the wall clock and not to the monotonic clock, as a kernel does when
// its clock is set. The machine's clock is not touched. The files go to dir.
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
	if strings.Count(string(source), clockLine) != 1 {
		return "", errClockLine
	}
	replace := make(map[string]string)
	for path, text := range map[string]string{
		timeGo: strings.Replace(string(source), clockLine, clockLine+"\tsec += WallOffset.Load()\n", 1),
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
	out, err := exec.CommandContext(ctx, "go", "build", "-overlay", overlayPath, "-tags", "steppedclock", "-o", exe, commandPackage).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("faults: cannot build a binary whose wall clock can be set (run this in a checkout of sessionwheel): %w: %s", err, out)
	}
	return exe, nil
}
