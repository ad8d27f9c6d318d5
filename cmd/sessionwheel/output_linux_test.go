package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

func TestOutput_ToAFullDiskIsAnErrorOfEveryCommand(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	_, addr := servetest.Start(t)
	for _, args := range [][]string{
		{"demo", "--clients", "4", "--idle", "200ms"},
		{"demo", "--clients", "4", "--idle", "200ms", "--http", "0"}, // which does not go on without output
		{"load", "--addr", addr, "--active", "1", "--duration", "100ms"},
		{"soak", "--list"},
		{"version"},
		{"--version"},
		{"--help"},
		{"serve", "--help"},
	} {
		cmd := consoletest.Command(t, args...)
		cmd.Stdout = full
		o := consoletest.End(t, cmd)
		require.Equal(t, console.ExitRuntime, o.Status, "%v: %s", args, o.Err)
		o.OneErrorLine(t, "no space left on device")
	}
}

func TestOutput_ToAPipeThatNobodyReadsIsAnError(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	defer w.Close()
	cmd := consoletest.Command(t, "demo", "--clients", "4", "--idle", "200ms")
	cmd.Stdout = w
	require.NotZero(t, consoletest.End(t, cmd).Status)
}
