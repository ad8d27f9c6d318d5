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

func (c *printCmd) Run(ctx context.Context, std Std) error {
	for range c.Lines {
		fmt.Fprintln(std.Out, "a line") // without a look at the error
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

func (failCmd) Run(std Std) error {
	fmt.Fprintln(std.Out, "FAILED")
	return ErrFailed
}

type groupCmd struct {
	Say  printCmd `cmd:"" help:"Say lines."`
	Tell printCmd `cmd:"" help:"Tell lines."`
}

// Run is called by kong for each of its commands.
func (groupCmd) Run() error { return nil }

// testProgram has a default command and one with commands.
func testProgram() Program {
	return Program{Description: "Tests.", Commands: &struct {
		Print printCmd `cmd:"" default:"withargs" help:"Print lines."`
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

func TestRun_SuggestsTheCommandThatIsMeant(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"pirnt"}, `unknown command "pirnt": did you mean "print"? (see "sessionwheel --help")`},
		{[]string{"grup", "say"}, `unknown command "grup": did you mean "group"? (see "sessionwheel --help")`},
		{[]string{"xyz"}, `unknown command "xyz": the commands are fail, group, print (see "sessionwheel --help")`},
		{[]string{"group"}, `group needs a command: say, tell (see "sessionwheel group --help")`},
		{[]string{"group", "sya"}, `unexpected argument sya, did you mean "say"? (see "sessionwheel group --help")`},
		{[]string{"print", "now"}, `unexpected argument now (see "sessionwheel print --help")`},
		{[]string{"--lines"}, `--lines needs a value, such as 1 (see "sessionwheel --help")`},
		{[]string{"print", "--lines", "--wait"}, `--lines needs a value, such as 1 (see "sessionwheel print --help")`},
	} {
		var out, stderr bytes.Buffer
		require.Equal(t, ExitUsage, testProgram().Run(tt.args, Std{Out: &out, Err: &stderr}), "%v", tt.args)
		require.Equal(t, "sessionwheel: "+tt.want+"\n", stderr.String())
		require.Empty(t, out.String())
	}
}

func TestHelp_ListsTheFlagsOfTheDefaultCommand(t *testing.T) {
	var out bytes.Buffer
	require.Zero(t, testProgram().Run([]string{"--help"}, Std{Out: &out, Err: &out}))
	require.Regexp(t, `\nFlags of print, the default command:\n +--lines=1 +How many lines`, out.String())
	out.Reset()
	require.Zero(t, testProgram().Run([]string{"fail", "--help"}, Std{Out: &out, Err: &out}))
	require.NotContains(t, out.String(), "--lines")
}

func TestDistance_CountsChanges(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"demo", "demo", 0}, {"dmeo", "demo", 1}, {"dem", "demo", 1}, {"demoo", "demo", 1}, {"deno", "demo", 1}, {"", "demo", 4}, {"serve", "soak", 4}} {
		require.Equal(t, tt.want, distance(tt.a, tt.b), "%s %s", tt.a, tt.b)
		require.Equal(t, tt.want, distance(tt.b, tt.a))
	}
}
