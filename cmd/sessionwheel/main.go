package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"unicode"

	"github.com/alecthomas/kong"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/soak"
)

const (
	exitRuntime = 1
	exitUsage   = 2
)

// errFailed is returned by a command that has printed its failed verdict, so
// that nothing is left to say but the exit status.
var errFailed = errors.New("failed")

// cli is the command line: its fields are the commands and the flags they share.
type cli struct {
	Version kong.VersionFlag `help:"Print the version and exit."`

	Demo    demoConfig  `cmd:"" default:"withargs" help:"Start a server and real clients, let half of them fall silent, and show how late each is closed with \"Timeout\" (the default command)."`
	Serve   serveConfig `cmd:"" help:"Run an echo server that closes idle sessions."`
	Load    loadConfig  `cmd:"" help:"Put load on an echo server, such as serve, and measure it."`
	Top     topConfig   `cmd:"" help:"Watch a server that runs with --http, live in the terminal."`
	Cluster clusterCmd  `cmd:"" help:"See and steer the sessions of a cluster, such as of several serve --cluster."`
	Bench   benchConfig `cmd:"" passthrough:"" help:"Do the same work with this project and with its rivals, side by side, and draw it."`
	Soak    soakConfig  `cmd:"" help:"Look for broken guarantees for a long time, under faults of every kind."`
}

// stdio is where a command writes: results to out, logs to err.
type stdio struct{ out, err io.Writer }

// Run is called by kong.
func (c *demoConfig) Run(ctx context.Context, std stdio) error { return runDemo(ctx, std.out, *c) }

// Run is called by kong.
func (c *serveConfig) Run(ctx context.Context, std stdio) error { return runServe(ctx, std.err, *c) }

// Run is called by kong.
func (c *loadConfig) Run(ctx context.Context, std stdio) error { return runLoad(ctx, std.out, *c) }

// Run is called by kong.
func (c *soakConfig) Run(ctx context.Context, std stdio) error { return runSoak(ctx, std.out, *c) }

// Run is called by kong.
func (c *benchConfig) Run(ctx context.Context, std stdio) error { return runBench(ctx, std, *c) }

func main() {
	soak.ChildMain()
	os.Exit(run(os.Args[1:], stdio{os.Stdout, os.Stderr}))
}

// run is the whole program but for the exit. It returns the exit status; only
// --help and --version exit from within.
func run(args []string, std stdio) int {
	var c cli
	parser, err := kong.New(&c,
		kong.Name("sessionwheel"),
		kong.Description("A session manager for custom protocol servers: every session has a timer in a hierarchical timing wheel, every activity re-arms it, and when it expires the session is closed with the reason \"Timeout\"."),
		kong.Vars{"version": version()},
		kong.Writers(std.out, std.err),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, WrapUpperBound: 80, FlagsLast: true}),
	)
	if err != nil {
		panic(err) // the tags of cli are wrong
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(std.err, usageLine(err, args))
		return exitUsage
	}
	ctx, stop := withSignals(context.Background(), std.err)
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(std)
	return exitStatus(parsed.Run(), std.err)
}

// exitStatus reports the error of a command in one line, unless it was shown
// already, and says how to exit.
func exitStatus(err error, stderr io.Writer) int {
	var sig signalError
	var status statusError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.Is(err, errFailed):
		return exitRuntime
	case errors.As(err, &sig):
		fmt.Fprintln(stderr, "sessionwheel: "+sig.Error())
		return sig.status()
	default:
		fmt.Fprintln(stderr, "sessionwheel: "+oneLine(err))
		return exitRuntime
	}
}

// usageLine makes one line of a parse error, with the help to turn to.
func usageLine(err error, args []string) string {
	named := len(args) > 0 && !strings.HasPrefix(args[0], "-")
	text, help := oneLine(err), "sessionwheel --help"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if cmd := parse.Context.Selected(); cmd != nil && named {
			help = cmd.FullPath() + " --help"
		}
	}
	// A mistyped command is taken for an argument of the default one.
	if named && strings.HasPrefix(text, "unexpected argument "+args[0]) {
		text, help = fmt.Sprintf("unknown command %q: there are cluster, demo, serve, load, top, bench and soak", args[0]), "sessionwheel --help"
	}
	return fmt.Sprintf("sessionwheel: %s (see %q)", text, help)
}

// oneLine is an error as it may be shown, whoever has had a say in it.
func oneLine(err error) string {
	return clean(strings.Join(strings.Fields(err.Error()), " "))
}

// clean takes off a text what a terminal would take for orders: control
// characters, line separators and changes of the writing direction.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return -1
		}
		return r
	}, s)
}

// version tells which build this is: the module's version or, built from a
// checkout, the revision.
func version() string {
	v, rev := "(devel)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && v == "(devel)" {
				rev = " " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return fmt.Sprintf("sessionwheel %s%s, %s %s/%s", v, rev, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
