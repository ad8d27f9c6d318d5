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

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/soak"
)

func TestWrongUsageOfSoakNamesTheFlagAndTheFix(t *testing.T) {
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
		var out, stderr bytes.Buffer
		o := outcome{status: run(append([]string{"soak"}, tt.args...), stdio{&out, &stderr})}
		o.out, o.err = out.String(), stderr.String()
		require.Equal(t, exitUsage, o.status, "%v: %s", tt.args, o.err)
		o.oneErrorLine(t, append(tt.want, "soak --help")...)
	}
}

func TestTheHelpAndTheListOfSoakFitTheTerminal(t *testing.T) {
	t.Parallel()
	help, list := program(t, "soak", "--help"), program(t, "soak", "--list")
	cluster := program(t, "soak", "--cluster", "--list")
	for _, o := range []outcome{help, list, cluster} {
		require.Zero(t, o.status)
		require.Empty(t, o.err)
		require.NotRegexp(t, `(?m)^.{81,}$`, o.out)
	}
	for _, want := range []string{"--duration=1m", "--seed", "--only", "--list", "--json", "--drill", "--cluster"} {
		require.Contains(t, help.out, want)
	}
	for _, s := range soak.Scenarios() {
		require.Regexp(t, `(?m)^`+s.Name+` +\S`, list.out)
	}
	for _, s := range soak.ClusterScenarios() {
		require.Regexp(t, `(?m)^`+s.Name+` +\S`, cluster.out)
	}
}

func TestASoakPrintsItsSeedItsProgressAndATable(t *testing.T) {
	t.Parallel()
	o := program(t, "soak", "--only", "^(model|callbacks)$", "--duration", "1ms")
	require.Zero(t, o.status, o.out+o.err)
	require.Empty(t, o.err)
	require.Regexp(t, `with --seed \d+: callbacks, model\.`, o.out)
	require.Regexp(t, `(?m)^ +[\d.]+s  callbacks +round 1 +operations \S+ +worst lateness \S+$`, o.out)
	require.Regexp(t, `(?m)^callbacks +1 +[\d,]+ +\S+  held$`, o.out)
	require.Regexp(t, `(?m)^model +1 +[\d,]+ +\S+  held$`, o.out)
	require.NotRegexp(t, `(?m)^.{81,}$`, o.out)
	require.NotContains(t, o.out, "\x1b")
}

func TestABrokenGuaranteeStopsTheSoakWithStatus1AndTheCommandToSeeItAgain(t *testing.T) {
	t.Parallel()
	o := program(t, "soak", "--only", "model|callbacks", "--duration", "1h", "--seed", "77", "--drill")
	require.Equal(t, exitRuntime, o.status, o.out+o.err)
	require.Empty(t, o.err)
	require.Contains(t, o.out, "FAILED: callbacks.")
	require.Regexp(t, `(?m)^  guarantee +nothing fires or times out before its deadline$`, o.out)
	require.Regexp(t, `(?m)^  seen +\S`, o.out)
	require.Regexp(t, `(?m)^  seed +77$`, o.out)
	require.Regexp(t, `(?m)^callbacks +0 .* BROKEN$`, o.out)
	require.Regexp(t, `(?m)^model +0 .* not run$`, o.out)

	again := regexp.MustCompile(`(?m)^  again +sessionwheel (.*)$`).FindStringSubmatch(o.out)
	require.NotNil(t, again, o.out)
	args := strings.Fields(strings.ReplaceAll(again[1], "'", "")) // as a shell does
	require.Equal(t, []string{"soak", "--only", "^callbacks$", "--seed", "77", "--drill"}, args)
	require.Equal(t, exitRuntime, program(t, args...).status)
}

func TestADrillOfAClusterFailsAndItsCommandIsOfACluster(t *testing.T) {
	t.Parallel()
	o := program(t, "soak", "--cluster", "--only", "cut-fence|leader", "--duration", "1h", "--seed", "77", "--drill")
	require.Equal(t, exitRuntime, o.status, o.out+o.err)
	require.Empty(t, o.err)
	require.Contains(t, o.out, "FAILED: cut-fence.")
	require.Regexp(t, `(?m)^  guarantee +no two sessions have an ID at once`, o.out)
	require.Regexp(t, `(?m)^scenario +rounds +operations +worst recovery  verdict$`, o.out)
	require.Regexp(t, `(?m)^cut-fence +0 .* BROKEN$`, o.out)
	require.Regexp(t, `(?m)^leader +0 .* not run$`, o.out)
	require.Contains(t, o.out, "again      sessionwheel soak --cluster --only '^cut-fence$' --seed 77 --drill\n")
}

func TestASoakAsJSONIsOneObjectAndNothingElse(t *testing.T) {
	t.Parallel()
	for drill, status := range map[bool]int{false: 0, true: exitRuntime} {
		args := []string{"soak", "--only", "callbacks", "--duration", "1ms", "--json"}
		if drill {
			args = append(args, "--drill")
		}
		o := program(t, args...)
		require.Equal(t, status, o.status, o.out+o.err)
		var got soakReport
		d := json.NewDecoder(strings.NewReader(o.out))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&got), o.out)
		require.False(t, d.More())
		require.NotZero(t, got.Seed)
		require.Equal(t, "callbacks", got.Tallies[0].Scenario)
		require.Equal(t, drill, got.Failure != nil)
		require.Equal(t, drill, got.Command != "")
	}
}

func TestASignalEndsASoakEarlyAndItStillReports(t *testing.T) {
	t.Parallel()
	out := &began{begun: make(chan struct{})}
	p := launchTo(t, out, "soak", "--only", "starvation|model", "--duration", "1h")
	select {
	case <-out.begun:
	case <-time.After(patience):
		require.FailNow(t, "it does not begin", "%s", p.logged())
	}
	p.signal(syscall.SIGINT)
	require.Equal(t, 130, p.wait())
	require.Equal(t, "sessionwheel: interrupted\n", p.logged())
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

func TestASoakOfWhichAllIsLeftOutIsNoSuccess(t *testing.T) {
	t.Parallel()
	cmd := command(t, "soak", "--only", "clock|library", "--duration", "1ms")
	cmd.Env = append(cmd.Env, "PATH="+t.TempDir())
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	require.Equal(t, exitRuntime, status(t, cmd.Run()), out.String())
	require.Equal(t, 1, strings.Count(out.String(), "LEFT OUT: clock: "))
	require.Equal(t, 1, strings.Count(out.String(), "LEFT OUT: library: "))
	require.Regexp(t, `(?m)^clock +0 .* left out$`, out.String())
	require.Contains(t, stderr.String(), "nothing was checked")
}
