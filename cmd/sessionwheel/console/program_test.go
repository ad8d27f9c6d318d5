package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fullDisk takes some bytes and then fails.
type fullDisk struct{ left int }

var errFull = errors.New("no space left on device")

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left -= len(p); d.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

type printCmd struct {
	Lines int  `default:"1" help:"How many lines to print."`
	Wait  bool `help:"Wait for the end of the context."`
}

func (c *printCmd) Run(ctx context.Context, call Call) error {
	for range c.Lines {
		fmt.Fprintln(call.Out, "a line") // without a look at the error
	}
	if c.Wait {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Minute):
			return errors.New("the context does not end")
		}
	}
	return nil
}

type failCmd struct{}

func (failCmd) Run(_ context.Context, call Call) error {
	fmt.Fprintln(call.Out, "FAILED")
	return ErrFailed
}

// groupCmd runs all of its commands.
type groupCmd struct {
	Say struct {
		Word string `arg:""`
	} `cmd:"" help:"Say a word."`
}

func (g *groupCmd) Run(_ context.Context, call Call) error {
	fmt.Fprintln(call.Out, call.Args, call.Command == &g.Say, g.Say.Word)
	return nil
}

// testProgram has a default command and one with commands.
func testProgram() Program {
	return Program{Description: "Tests.", Commands: &struct {
		Print printCmd `cmd:"" default:"" help:"Print lines."`
		Fail  failCmd  `cmd:"" help:"Fail."`
		Group groupCmd `cmd:"" help:"Has commands."`
	}{}}
}

func TestRun_LostOutputIsAnErrorAndEndsTheCommand(t *testing.T) {
	for _, args := range [][]string{{}, {"--wait"}, {"print", "--lines", "1000"}, {"--help"}, {"group", "say", "--help"}, {"fail"}} {
		var stderr bytes.Buffer
		status := testProgram().Run(args, Std{Out: &fullDisk{}, Err: &stderr})
		require.Equal(t, ExitRuntime, status, "%v", args)
		if len(args) == 0 || args[0] != "fail" {
			require.Equal(t, "sessionwheel: writing the output: no space left on device\n", stderr.String(), "%v", args)
		}
	}
	var stderr bytes.Buffer
	require.Zero(t, testProgram().Run(nil, Std{Out: &fullDisk{left: 7}, Err: &stderr}))
	require.Empty(t, stderr.String())
}

func TestRun_ACommandOfACommandIsRunByWhatItIsIn(t *testing.T) {
	var out, stderr bytes.Buffer
	require.Zero(t, testProgram().Run([]string{"group", "say", "hello"}, Std{Out: &out, Err: &stderr}), stderr.String())
	require.Equal(t, "[group say hello] true hello\n", out.String())
}

func TestRun_WrongUsageIsOneLineWithTheHelp(t *testing.T) {
	var out, stderr bytes.Buffer
	require.Equal(t, ExitUsage, testProgram().Run([]string{"print", "--lines", "x\x1b[31m"}, Std{Out: &out, Err: &stderr}))
	require.Equal(t, "sessionwheel: --lines must be a whole number, not \"x\\x1b[31m\" (see \"sessionwheel print --help\")\n", stderr.String())
	require.Empty(t, out.String())
}

func TestHelp_ListsTheFlagsOfTheDefaultCommand(t *testing.T) {
	var out bytes.Buffer
	require.Zero(t, testProgram().Run([]string{"--help"}, Std{Out: &out, Err: &out}))
	require.Regexp(t, `\nFlags of print, the default command:\n +--lines=1 +How many lines`, out.String())
	out.Reset()
	require.Zero(t, testProgram().Run([]string{"fail", "--help"}, Std{Out: &out, Err: &out}))
	require.NotContains(t, out.String(), "--lines")
}
