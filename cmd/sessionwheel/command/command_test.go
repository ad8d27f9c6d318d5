package command

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type moreFlags struct {
	Deep string `env:"COMMAND_TEST_DEEP" help:"Deep text."`
}

type serveCmd struct {
	Addr      string        `default:"127.0.0.1:7000" want:"host:port" help:"Address to listen on."`
	Idle      time.Duration `default:"5m" help:"Close a session after this much inactivity."`
	MaxFrame  int           `default:"100" help:"Longest message."`
	Seed      uint64        `default:"0" help:"Seed."`
	Share     float64       `default:"0.5" help:"A share."`
	Page      bool          `default:"true" negatable:"" help:"Serve the page."`
	Quiet     bool          `help:"Say nothing."`
	HTTPHost  []string      `name:"http-host" placeholder:"NAME" help:"A name. May be repeated."`
	Size      []int         `placeholder:"N" help:"Sizes."`
	Mode      string        `default:"keep" enum:"keep,fence" help:"What to do."`
	Replicas  int           `default:"1" enum:"1,3" help:"How many."`
	File      string        `type:"existingfile" placeholder:"FILE" help:"A file."`
	Secret    bool          `hidden:"" help:"Not told."`
	moreFlags `embed:""`

	validated bool
	wrong     error
}

func (serveCmd) Help() string { return "More on serving." }

func (c *serveCmd) Validate() error {
	c.validated = true
	return c.wrong
}

type lookCmd struct {
	URL  string `arg:"" optional:"" name:"url" default:"8080" help:"Where."`
	Once bool   `help:"Once."`
}

type twoCmd struct {
	Name string `arg:"" help:"Whose."`
	Text string `arg:"" help:"What."`
}

type testCommands struct {
	Serve serveCmd `cmd:"" default:"" help:"Run a server."`
	Look  lookCmd  `cmd:"" help:"Look at it."`
	Group struct {
		Send twoCmd `cmd:"" help:"Send."`
		List struct {
			JSON bool `name:"json" help:"As JSON."`
		} `cmd:"" help:"List."`
	} `cmd:"" help:"Several."`
	Other struct {
		Run  lookCmd `cmd:"" default:"" hidden:"" help:"Run."`
		Show lookCmd `cmd:"" help:"Show."`
	} `cmd:"" help:"With a default."`
}

func parse(t *testing.T, args ...string) (*testCommands, *Line, error) {
	t.Helper()
	c := &testCommands{}
	line, err := New("prog", "A program.", c).Parse(args)
	return c, line, err
}

func TestParse_SetsTheFieldsOfTheCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	c, line, err := parse(t, "serve", "--addr", ":1", "--idle=3s", "--max-frame", "7", "--seed=18446744073709551615", "--share", "-0.25",
		"--no-page", "--quiet", "--http-host", "a", "--http-host=b,c", "--size", "1,2", "--mode", "fence", "--replicas=3", "--file", file, "--secret", "--deep", "x")
	require.NoError(t, err)
	require.Same(t, &c.Serve, line.Command)
	require.Equal(t, []any{c}, line.Parents)
	require.Equal(t, serveCmd{
		Addr: ":1", Idle: 3 * time.Second, MaxFrame: 7, Seed: 18446744073709551615, Share: -0.25,
		Quiet: true, HTTPHost: []string{"a", "b", "c"}, Size: []int{1, 2}, Mode: "fence", Replicas: 3, File: file, Secret: true,
		moreFlags: moreFlags{Deep: "x"}, validated: true,
	}, c.Serve)
}

func TestParse_WithoutFlagsHasTheDefaults(t *testing.T) {
	for _, args := range [][]string{{}, {"serve"}} {
		c, line, err := parse(t, args...)
		require.NoError(t, err)
		require.Same(t, &c.Serve, line.Command)
		require.Equal(t, serveCmd{Addr: "127.0.0.1:7000", Idle: 5 * time.Minute, MaxFrame: 100, Share: 0.5, Page: true, Mode: "keep", Replicas: 1, validated: true}, c.Serve)
	}
}

func TestParse_BoolsTakeAValueBehindAnEqualsSignOnly(t *testing.T) {
	c, _, err := parse(t, "--quiet=false", "--page=false")
	require.NoError(t, err)
	require.False(t, c.Serve.Quiet)
	require.False(t, c.Serve.Page)
	_, _, err = parse(t, "serve", "--quiet", "true")
	require.ErrorContains(t, err, "unexpected argument true")
	_, _, err = parse(t, "--no-page=true")
	require.ErrorContains(t, err, "--no-page takes no value")
}

func TestParse_ArgumentsMayStandBeforeAndBehindFlags(t *testing.T) {
	for _, args := range [][]string{{"look", "1", "--once"}, {"look", "--once", "1"}, {"look", "--once", "--", "1"}} {
		c, line, err := parse(t, args...)
		require.NoError(t, err)
		require.Same(t, &c.Look, line.Command)
		require.Equal(t, lookCmd{URL: "1", Once: true}, c.Look)
	}
	c, _, err := parse(t, "look")
	require.NoError(t, err)
	require.Equal(t, "8080", c.Look.URL)
	c, line, err := parse(t, "group", "send", "ann", "--", "--text")
	require.NoError(t, err)
	require.Equal(t, twoCmd{"ann", "--text"}, c.Group.Send)
	require.Equal(t, []any{&c.Group, c}, line.Parents)
	c, line, err = parse(t, "other", "x") // the default command of a command
	require.NoError(t, err)
	require.Same(t, &c.Other.Run, line.Command)
	require.Equal(t, "x", c.Other.Run.URL)
}

func TestParse_AVariableSetsAFlagThatIsNotGiven(t *testing.T) {
	t.Setenv("COMMAND_TEST_DEEP", "of the variable")
	c, _, err := parse(t)
	require.NoError(t, err)
	require.Equal(t, "of the variable", c.Serve.Deep)
	c, _, err = parse(t, "--deep", "of the flag")
	require.NoError(t, err)
	require.Equal(t, "of the flag", c.Serve.Deep)
}

func TestParse_AMistakeIsNamedWithTheHelp(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"srve"}, `unknown command "srve": did you mean "serve"? (see "prog --help")`},
		{[]string{"grop", "list"}, `unknown command "grop": did you mean "group"? (see "prog --help")`},
		{[]string{"xyzzy"}, `unknown command "xyzzy": the commands are group, look, other, serve (see "prog --help")`},
		{[]string{"group"}, `group needs a command: list, send (see "prog group --help")`},
		{[]string{"group", "lsit"}, `unknown command "lsit": did you mean "list"? (see "prog group --help")`},
		{[]string{"group", "send", "ann"}, `an argument is missing: <text> (see "prog group send --help")`},
		{[]string{"group", "list", "now"}, `unexpected argument now (see "prog group list --help")`},
		{[]string{"other", "a", "b"}, `unexpected argument b (see "prog other --help")`},
		{[]string{"serve", "now"}, `unexpected argument now (see "prog serve --help")`},
		{[]string{"--quiet", "look"}, `unexpected argument look (see "prog --help")`},
		{[]string{"--bogus"}, `unknown flag --bogus (see "prog --help")`},
		{[]string{"serve", "--bogus=1"}, `unknown flag --bogus (see "prog serve --help")`},
		{[]string{"serve", "--adr", "x"}, `unknown flag --adr, did you mean --addr? (see "prog serve --help")`},
		{[]string{"serve", "-x"}, `unknown flag -x (see "prog serve --help")`},
		{[]string{"--addr"}, `--addr needs a value: host:port (see "prog --help")`},
		{[]string{"--addr="}, `--addr needs a value: host:port (see "prog --help")`},
		{[]string{"serve", "--addr", ""}, `--addr needs a value: host:port (see "prog serve --help")`},
		{[]string{"serve", "--addr", "--quiet"}, `--addr needs a value: host:port (see "prog serve --help")`},
		{[]string{"serve", "--idle"}, `--idle needs a value, such as 5m (see "prog serve --help")`},
		{[]string{"serve", "--file"}, `--file needs a value: FILE (see "prog serve --help")`},
		{[]string{"serve", "--deep"}, `--deep needs a value (see "prog serve --help")`},
		{[]string{"serve", "--idle", "3"}, `--idle must be a duration, such as 1m30s: missing unit in duration "3" (see "prog serve --help")`},
		{[]string{"serve", "--max-frame", "many"}, `--max-frame must be a whole number, not "many" (see "prog serve --help")`},
		{[]string{"serve", "--max-frame", "99999999999999999999"}, `--max-frame must be a smaller number, not "99999999999999999999" (see "prog serve --help")`},
		{[]string{"serve", "--seed=-1"}, `--seed must be a whole number from 0 on, not "-1" (see "prog serve --help")`},
		{[]string{"serve", "--share", "x"}, `--share must be a number, not "x" (see "prog serve --help")`},
		{[]string{"serve", "--quiet=maybe"}, `--quiet must be true or false, not "maybe" (see "prog serve --help")`},
		{[]string{"serve", "--size", "1,x"}, `--size must be a whole number, not "x" (see "prog serve --help")`},
		{[]string{"serve", "--mode", "drop"}, `--mode must be one of keep, fence, not "drop" (see "prog serve --help")`},
		{[]string{"serve", "--replicas", "2"}, `--replicas must be one of 1, 3, not "2" (see "prog serve --help")`},
		{[]string{"serve", "--file", "/no/such/file"}, `--file names no file: stat /no/such/file: no such file or directory (see "prog serve --help")`},
	} {
		_, _, err := parse(t, tt.args...)
		var usage *UsageError
		require.ErrorAs(t, err, &usage, "%v", tt.args)
		require.Equal(t, tt.want, err.Error())
	}
}

func TestParse_ReturnsWhatValidateSays(t *testing.T) {
	c := &testCommands{}
	c.Serve.wrong = errors.New("--idle is too short")
	_, err := New("prog", "", c).Parse([]string{"serve"})
	require.EqualError(t, err, `--idle is too short (see "prog serve --help")`)
	t.Setenv("COMMAND_TEST_DEEP", "")
}

func help(t *testing.T, args ...string) string {
	t.Helper()
	c := &testCommands{}
	p := New("prog", strings.Repeat("A program of many words. ", 8)+"\n\nIn two paragraphs.", c)
	line, err := p.Parse(args)
	require.NoError(t, err, "a help is the answer whatever else is wrong")
	require.True(t, line.Help)
	var b bytes.Buffer
	require.NoError(t, p.Help(&b, line))
	require.NotRegexp(t, `(?m)^.{81,}$`, b.String())
	require.NotRegexp(t, `(?m) $`, b.String())
	return b.String()
}

func TestHelp_OfTheProgramHasTheFlagsOfTheDefaultCommand(t *testing.T) {
	text := help(t, "--help")
	require.Regexp(t, `^Usage: prog \[<command>\] \[flags\]\n\nA program of many words\. .*\n[\s\S]*\n\nIn two paragraphs\.\n\nCommands:\n  serve \[flags\]\n    Run a server\.\n\n  look \[<url>\] \[flags\]\n`, text)
	require.Contains(t, text, "\n  group <command> [flags]\n    Several.\n")
	require.Contains(t, text, "\nFlags of serve, the default command:\n      --addr=\"127.0.0.1:7000\"    Address to listen on.\n")
	require.Contains(t, help(t, "other", "-h"), "\nFlags without a command:\n      --once    Once.\n")
}

func TestHelp_OfACommandSaysWhatEachFlagTakes(t *testing.T) {
	text := help(t, "serve", "--bogus", "--help")
	for _, want := range []string{
		"Usage: prog serve [flags]\n\nRun a server.\n\nMore on serving.\n\nFlags:\n  -h, --help  ", "--idle=5m ", "--max-frame=100 ", "--share=0.5 ", "--[no-]page ", "--quiet ",
		"--http-host=NAME,... ", "--size=N,... ", `--mode="keep" `, "--file=FILE ", "--deep=STRING ", "Deep text ($COMMAND_TEST_DEEP).",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "secret")
	text = help(t, "look", "--help")
	require.Contains(t, text, "Usage: prog look [<url>] [flags]\n")
	require.Contains(t, text, "\nArguments:\n  [<url>]    Where.\n")
	require.Contains(t, help(t, "group", "send", "--help"), "Usage: prog group send <name> <text>\n")
}

func TestHelp_ALongFlagHasItsTextBelow(t *testing.T) {
	var b strings.Builder
	columns(&b, [][2]string{{"--" + strings.Repeat("x", 40), "Text."}, {"--y", strings.Repeat("word ", 20)}})
	require.Equal(t, "  --"+strings.Repeat("x", 40)+"\n"+strings.Repeat(" ", maxColumn)+"Text.\n"+
		"  --y"+strings.Repeat(" ", maxColumn-5)+strings.TrimSpace(strings.Repeat("word ", 9))+"\n"+
		strings.Repeat(" ", maxColumn)+strings.TrimSpace(strings.Repeat("word ", 9))+"\n"+
		strings.Repeat(" ", maxColumn)+"word word\n", b.String())
}

func TestNearest_CountsChanges(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"demo", "demo", 0}, {"dmeo", "demo", 1}, {"dem", "demo", 1}, {"demoo", "demo", 1}, {"deno", "demo", 1}, {"", "demo", 4}, {"serve", "soak", 4}} {
		require.Equal(t, tt.want, distance(tt.a, tt.b), "%s %s", tt.a, tt.b)
		require.Equal(t, tt.want, distance(tt.b, tt.a))
	}
	require.Empty(t, nearest("x", []string{"ls"}), "two changes of two letters make another word")
}

func TestBuild_PanicsAtADefaultThatIsNone(t *testing.T) {
	require.PanicsWithValue(t, `command: the default of --idle must be a duration, such as 1m30s: missing unit in duration "3"`, func() {
		New("prog", "", &struct {
			Run struct {
				Idle time.Duration `default:"3"`
			} `cmd:""`
		}{})
	})
}
