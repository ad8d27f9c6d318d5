package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// runBenchAs runs the command as main does.
func runBenchAs(args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	status = run(append([]string{"bench"}, args...), stdio{&o, &e})
	return status, o.String(), e.String()
}

func TestBenchIsTheProgramOfItsOwnModule(t *testing.T) {
	status, out, errs := runBenchAs("list")
	require.Zero(t, status, errs)
	require.Contains(t, out, "register-close: ")
	require.Contains(t, out, "github.com/RussellLuo/timingwheel")

	status, _, errs = runBenchAs("--rounds", "many")
	require.Equal(t, exitUsage, status, errs)
	require.Contains(t, errs, "--rounds")
	require.NotContains(t, errs, "sessionwheel: exit status", "the program has said it all")
}

func TestBenchOutsideACheckoutSaysWhatItNeeds(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("GOWORK", "off")
	status, _, errs := runBenchAs("--quick")
	require.Equal(t, exitRuntime, status)
	require.Contains(t, errs, "run it in a checkout of sessionwheel")
}

func TestBenchWithoutTheGoCommandSaysSo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	status, _, errs := runBenchAs("--quick")
	require.Equal(t, exitRuntime, status)
	require.Contains(t, errs, "the go command is not there")
}
