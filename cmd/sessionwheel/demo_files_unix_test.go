//go:build unix && !freebsd && !dragonfly

package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

func TestDemo_RaisesTheSoftLimitOfOpenFiles(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	require.NoError(t, err)
	for limit, want := range map[string]int{"-S -n 64": 0, "-n 64": console.ExitRuntime} {
		cmd := consoletest.Command(t, "--clients", "40", "--idle", "300ms")
		cmd.Args = append([]string{sh, "-c", "ulimit " + limit + ` && exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = sh
		out, err := cmd.CombinedOutput()
		require.Equal(t, want, consoletest.Status(t, err), "%s: %s", limit, out)
		if want != 0 {
			require.Contains(t, string(out), "lower --clients")
		}
	}
}
