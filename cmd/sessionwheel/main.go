package main

import (
	"context"
	"os"

	"github.com/alecthomas/kong"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/launch"
)

// commands is the command line: its fields are the commands and the flags they
// share.
type commands struct {
	Version kong.VersionFlag `help:"Print the version and exit."`

	Demo    demoConfig  `cmd:"" default:"withargs" help:"Start a server and real clients, let half of them fall silent, and show how late each is closed with \"Timeout\" (the default command)."`
	Serve   serveConfig `cmd:"" help:"Run an echo server that closes idle sessions."`
	Load    loadConfig  `cmd:"" help:"Put load on an echo server, such as serve, and measure it."`
	Top     topConfig   `cmd:"" help:"Watch a server that runs with --http, live in the terminal."`
	Cluster clusterCmd  `cmd:"" help:"See and steer the sessions of a cluster, such as of several serve --cluster."`
	Bench   benchCmd    `cmd:"" passthrough:"" help:"Do the same work with this project and with its rivals, side by side, and draw it."`
	Soak    soakCmd     `cmd:"" help:"Look for broken guarantees for a long time, under faults of every kind."`
}

// Run is called by kong.
func (c *demoConfig) Run(ctx context.Context, std console.Std) error {
	return runDemo(ctx, std.Out, *c)
}

// Run is called by kong.
func (c *serveConfig) Run(ctx context.Context, std console.Std) error {
	return runServe(ctx, std.Err, *c)
}

// Run is called by kong.
func (c *loadConfig) Run(ctx context.Context, std console.Std) error {
	return runLoad(ctx, std.Out, *c)
}

type soakCmd struct {
	flags.Soak `embed:""`
}

// Run is called by kong.
func (c *soakCmd) Run(ctx context.Context, std console.Std, args console.Args) error {
	if c.List {
		c.PrintList(console.NewScreen(std.Out))
		return nil
	}
	return launch.Soak.Run(ctx, std, args)
}

type benchCmd struct {
	Args []string `arg:"" optional:"" help:"What follows is the benchmark's own: see \"sessionwheel bench --help\"."`
}

// Run is called by kong.
func (c *benchCmd) Run(ctx context.Context, std console.Std) error {
	return launch.Bench.Run(ctx, std, c.Args)
}

func program() console.Program {
	return console.Program{
		Commands:    &commands{},
		Description: "A session manager for custom protocol servers: every session has a timer in a hierarchical timing wheel, every activity re-arms it, and when it expires the session is closed with the reason \"Timeout\".",
		Default:     "demo",
	}
}

func main() { os.Exit(program().Run(os.Args[1:], console.Std{Out: os.Stdout, Err: os.Stderr})) }
