package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/lab/soak/soak"
)

// TestMain plays a role in the processes that a soak starts, and is the program in
// those that a test starts.
func TestMain(m *testing.M) {
	soak.ChildMain()
	consoletest.Main(m, main)
}

func TestUsage_WrongFlagsAreNamedWithTheFix(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--duration", "0s"}, []string{"--duration", "more than 0", "1m"}},
		{[]string{"--duration", "5"}, []string{"--duration", "missing unit"}},
		{[]string{"--seed", "x"}, []string{"--seed"}},
		{[]string{"--seed=-1"}, []string{"--seed"}},
		{[]string{"--only", "("}, []string{"--only", "regular expression"}},
		{[]string{"--only", "nothing"}, []string{"--only", "there are clock, library", "model"}},
		{[]string{"--cluster", "--only", "model"}, []string{"--only", "there are takeover, kill", "quorum"}},
		{[]string{"now"}, []string{"unexpected argument now"}},
	} {
		o := consoletest.Parse(program(), append([]string{"soak"}, tt.args...)...)
		require.Equal(t, console.ExitUsage, o.Status, "%v: %s", tt.args, o.Err)
		o.OneErrorLine(t, append(tt.want, "soak --help")...)
	}
}

func TestHelp_AndTheListFitTheTerminal(t *testing.T) {
	t.Parallel()
	help, list := consoletest.Run(t, "soak", "--help"), consoletest.Run(t, "soak", "--list")
	cluster := consoletest.Run(t, "soak", "--cluster", "--list")
	for _, o := range []consoletest.Outcome{help, list, cluster} {
		require.Zero(t, o.Status)
		require.Empty(t, o.Err)
		require.NotRegexp(t, `(?m)^.{81,}$`, o.Out)
	}
	for _, want := range []string{"--duration=1m", "--seed", "--only", "--list", "--json", "--drill", "--cluster"} {
		require.Contains(t, help.Out, want)
	}
	for _, s := range soak.Scenarios() {
		require.Regexp(t, `(?m)^`+s.Name+` +\S`, list.Out)
	}
	for _, s := range soak.ClusterScenarios() {
		require.Regexp(t, `(?m)^`+s.Name+` +\S`, cluster.Out)
	}
}

func TestSoak_PrintsItsSeedItsProgressAndATable(t *testing.T) {
	t.Parallel()
	o := consoletest.Run(t, "soak", "--only", "^(model|callbacks)$", "--duration", "1ms")
	require.Zero(t, o.Status, o.Out+o.Err)
	require.Empty(t, o.Err)
	require.Regexp(t, `with --seed \d+: callbacks, model\.`, o.Out)
	require.Regexp(t, `(?m)^ +[\d.]+s  callbacks +round 1 +operations \S+ +worst lateness \S+$`, o.Out)
	require.Regexp(t, `(?m)^callbacks +1 +[\d,]+ +\S+  held$`, o.Out)
	require.Regexp(t, `(?m)^model +1 +[\d,]+ +\S+  held$`, o.Out)
	require.NotRegexp(t, `(?m)^.{81,}$`, o.Out)
	require.NotContains(t, o.Out, "\x1b")
}

func TestSoak_StopsAtABrokenGuaranteeWithStatus1AndTheCommandToSeeItAgain(t *testing.T) {
	t.Parallel()
	o := consoletest.Run(t, "soak", "--only", "model|callbacks", "--duration", "1h", "--seed", "77", "--drill")
	require.Equal(t, console.ExitRuntime, o.Status, o.Out+o.Err)
	require.Empty(t, o.Err)
	require.Contains(t, o.Out, "FAILED: callbacks.")
	require.Regexp(t, `(?m)^  guarantee +nothing fires or times out before its deadline$`, o.Out)
	require.Regexp(t, `(?m)^  seen +\S`, o.Out)
	require.Regexp(t, `(?m)^  seed +77$`, o.Out)
	require.Regexp(t, `(?m)^callbacks +0 .* BROKEN$`, o.Out)
	require.Regexp(t, `(?m)^model +0 .* not run$`, o.Out)

	again := regexp.MustCompile(`(?m)^  again +sessionwheel (.*)$`).FindStringSubmatch(o.Out)
	require.NotNil(t, again, o.Out)
	args := strings.Fields(strings.ReplaceAll(again[1], "'", "")) // as a shell does
	require.Equal(t, []string{"soak", "--only", "^callbacks$", "--seed", "77", "--drill"}, args)
	require.Equal(t, console.ExitRuntime, consoletest.Run(t, args...).Status)
}

func TestDrill_OfAClusterFailsAndItsCommandIsOfACluster(t *testing.T) {
	t.Parallel()
	o := consoletest.Run(t, "soak", "--cluster", "--only", "cut-fence|leader", "--duration", "1h", "--seed", "77", "--drill")
	require.Equal(t, console.ExitRuntime, o.Status, o.Out+o.Err)
	require.Empty(t, o.Err)
	require.Contains(t, o.Out, "FAILED: cut-fence.")
	require.Regexp(t, `(?m)^  guarantee +(no two sessions have an ID at once|after a fault all is right again)`, o.Out)
	require.Regexp(t, `(?m)^scenario +rounds +operations +worst recovery  verdict$`, o.Out)
	require.Regexp(t, `(?m)^cut-fence +0 .* BROKEN$`, o.Out)
	require.Regexp(t, `(?m)^leader +0 .* not run$`, o.Out)
	require.Contains(t, o.Out, "again      sessionwheel soak --cluster --only '^cut-fence$' --seed 77 --drill\n")
}

func TestJSON_IsOneObjectAndNothingElse(t *testing.T) {
	t.Parallel()
	for drill, status := range map[bool]int{false: 0, true: console.ExitRuntime} {
		args := []string{"soak", "--only", "callbacks", "--duration", "1ms", "--json"}
		if drill {
			args = append(args, "--drill")
		}
		o := consoletest.Run(t, args...)
		require.Equal(t, status, o.Status, o.Out+o.Err)
		var got report
		d := json.NewDecoder(strings.NewReader(o.Out))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&got), o.Out)
		require.False(t, d.More())
		require.NotZero(t, got.Seed)
		require.Equal(t, "callbacks", got.Tallies[0].Scenario)
		require.Equal(t, drill, got.Failure != nil)
		require.Equal(t, drill, got.Command != "")
	}
}

func TestSignal_EndsASoakEarlyAndItStillReports(t *testing.T) {
	t.Parallel()
	out := &began{begun: make(chan struct{})}
	p := consoletest.LaunchTo(t, out, "soak", "--only", "starvation|model", "--duration", "1h")
	select {
	case <-out.begun:
	case <-time.After(consoletest.Patience):
		require.FailNow(t, "it does not begin", "%s", p.Logged())
	}
	p.Signal(syscall.SIGINT)
	require.Equal(t, 130, p.Wait())
	require.Equal(t, "sessionwheel: interrupted\n", p.Logged())
	require.Contains(t, out.text.String(), "scenario ")
	require.Regexp(t, `(?m)^model .* not run$`, out.text.String())
	require.NotContains(t, out.text.String(), "FAILED")
}

// began keeps what is written to it, to be read when the writer has ended, and
// tells when that begins.
type began struct {
	text  strings.Builder
	once  sync.Once
	begun chan struct{}
}

func (b *began) Write(p []byte) (int, error) {
	b.once.Do(func() { close(b.begun) })
	return b.text.Write(p)
}

func TestSoak_OfWhichAllIsLeftOutIsNoSuccess(t *testing.T) {
	t.Parallel()
	cmd := consoletest.Command(t, "soak", "--only", "clock|library", "--duration", "1ms")
	cmd.Env = append(cmd.Env, "PATH="+t.TempDir())
	o := consoletest.End(t, cmd)
	require.Equal(t, console.ExitRuntime, o.Status, o.Out)
	require.Equal(t, 1, strings.Count(o.Out, "LEFT OUT: clock: "))
	require.Equal(t, 1, strings.Count(o.Out, "LEFT OUT: library: "))
	require.Regexp(t, `(?m)^clock +0 .* left out$`, o.Out)
	require.Contains(t, o.Err, "nothing was checked")
}

func TestProgress_SaysWhatIsBuilt(t *testing.T) {
	var out bytes.Buffer
	p := &progress{screen: console.NewScreen(&out), worst: "lateness"}
	building := soak.Progress{Scenario: "clock", Round: 1, Building: "a program whose wall clock can be set", Took: 1500 * time.Millisecond}
	p.show(building)
	p.show(building)
	require.Equal(t, "clock needs a program whose wall clock can be set. It is being built; the first time this takes a minute or two.\n"+
		"   1.5s  clock       round 1     building\n", out.String())
	require.NotContains(t, out.String(), "operations")
}
