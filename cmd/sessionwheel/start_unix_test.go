//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

// installed is a folder with a program of that name, a shell script.
func installed(t *testing.T, name, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o700))
	return dir
}

func TestStart_ACommandOfItsOwnProgramGetsTheArgumentsAndItsStatusIsOurs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"sessionwheel-soak", []string{"soak", "--only", "model", "--duration", "3s"}, "<soak><--only><model><--duration><3s>"},
		{"sessionwheel-bench", []string{"bench", "--quick", "--only", "a b"}, "<--quick><--only><a b>"},
		{"sessionwheel-bench", []string{"bench"}, ""},
		{"sessionwheel-bench", []string{"bench", "list"}, "<list>"},
		{"sessionwheel-top", []string{"top", "--once", "8081"}, "<top><--once><8081>"},
		{"sessionwheel-full", []string{"cluster", "ls", "--cluster", "nats://127.0.0.1"}, "<cluster><ls><--cluster><nats://127.0.0.1>"},
		{"sessionwheel-full", []string{"serve", "--http", "0", "--metrics"}, "<serve><--http><0><--metrics>"},
		{"sessionwheel-full", []string{"serve", "--cluster", "embedded", "--node", "a"}, "<serve><--cluster><embedded><--node><a>"},
		{"sessionwheel-full", []string{"demo", "--nodes", "3"}, "<demo><--nodes><3>"},
		{"sessionwheel-full", []string{"--nodes", "3"}, "<demo><--nodes><3>"},
		{"sessionwheel-full", []string{"--http=0", "--metrics"}, "<demo><--http=0><--metrics>"},
	} {
		cmd := consoletest.Command(t, tt.args...)
		cmd.Env = append(cmd.Env, "PATH="+installed(t, tt.name, `for a; do printf '<%s>' "$a"; done; echo told >&2; exit 7`))
		o := consoletest.End(t, cmd)
		require.Equal(t, consoletest.Outcome{Out: tt.want, Err: "told\n", Status: 7}, o)
	}
}

func TestStart_ASignalReachesTheProgramOnce(t *testing.T) {
	t.Parallel()
	cmd := consoletest.Command(t, "soak")
	cmd.Env = append(cmd.Env, "PATH="+installed(t, "sessionwheel-soak",
		`trap 'echo caught >&2; n=$((n+1))' TERM
echo ready >&2
while [ -z "$n" ]; do read line; done
exit $n`))
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	p := consoletest.Start(t, nil, cmd)
	p.Await("ready")
	p.Signal(syscall.SIGTERM)
	p.Await("caught") // by what replaced this program
	require.NoError(t, stdin.Close())
	require.Equal(t, 1, p.Wait())
}

func TestStart_WrongFlagsAreRefusedBeforeAnythingIsStarted(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"soak", "--duration", "0s"},
		{"soak", "--only", "nothing"},
		{"soak", "--bogus"},
		{"bench", "--rounds", "many"},
		{"bench", "--bogus"},
		{"bench", "charts"},
		{"top", "--rows", "501"},
		{"cluster", "ls", "--bogus"},
	} {
		cmd := consoletest.Command(t, args...)
		cmd.Env = append(cmd.Env, "PATH="+installed(t, "sessionwheel-"+map[string]string{"soak": "soak", "bench": "bench", "top": "top", "cluster": "full"}[args[0]], "echo started"))
		o := consoletest.End(t, cmd)
		require.Equal(t, console.ExitUsage, o.Status, "%v", args)
		o.OneErrorLine(t, args[0], "--help")
	}
}
