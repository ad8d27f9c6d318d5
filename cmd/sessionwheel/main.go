package main

import (
	"context"
	"fmt"
	"os"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/demo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/launch"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/load"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/serve"
)

// commands is the command line.
type commands struct {
	Demo    demoCmd    `cmd:"" default:"" help:"Start a server and real clients, let half of them fall silent, and show how late each is closed with \"Timeout\" (the default command). --nodes and --metrics need sessionwheel-full."`
	Serve   serveCmd   `cmd:"" help:"Run an echo server that closes idle sessions. --cluster and --metrics need sessionwheel-full."`
	Load    loadCmd    `cmd:"" help:"Put load on an echo server, such as serve, and measure it."`
	Top     topCmd     `cmd:"" help:"Show a server that runs with --http, live in the terminal. Needs sessionwheel-top."`
	Cluster clusterCmd `cmd:"" help:"Inspect and control the sessions of a cluster, such as several serve --cluster. Needs sessionwheel-full."`
	Bench   benchCmd   `cmd:"" help:"Do the same work with this project and with its rivals, side by side, and draw charts. Needs sessionwheel-bench."`
	Soak    soakCmd    `cmd:"" help:"Look for broken guarantees for a long time, under faults of every kind. Needs sessionwheel-soak."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

const description = "A session manager for custom protocol servers: every session has a timer in a hierarchical timing wheel, every activity re-arms it, and when it expires the session is closed with the reason \"Timeout\".\n\n" +
	"sessionwheel-full, -top, -bench and -soak are separate programs, because they have many more dependencies. One that is not installed is built from the checkout when it is first used, which takes a minute or two."

func program() console.Program {
	return console.Program{Commands: &commands{}, Description: description}
}

func main() { os.Exit(program().Run(os.Args[1:], console.Std{Out: os.Stdout, Err: os.Stderr})) }

type demoCmd struct {
	demo.Config `embed:""`
}

// Run is as console.Runner says.
func (c *demoCmd) Run(ctx context.Context, call console.Call) error {
	if c.Nodes > 0 || c.HTTP.Metrics {
		args := call.Args
		if len(args) == 0 || args[0] != "demo" { // the default command
			args = append([]string{"demo"}, args...)
		}
		return launch.Full.Run(ctx, call.Std, args)
	}
	return demo.Run(ctx, call.Out, c.Config)
}

type serveCmd struct {
	serve.Config `embed:""`
}

// Run is as console.Runner says.
func (c *serveCmd) Run(ctx context.Context, call console.Call) error {
	if c.Node.Cluster != "" || c.HTTP.Metrics {
		return launch.Full.Run(ctx, call.Std, call.Args)
	}
	return serve.Run(ctx, call.Err, c.Config)
}

type loadCmd struct {
	load.Config `embed:""`
}

// Run is as console.Runner says.
func (c *loadCmd) Run(ctx context.Context, call console.Call) error {
	return load.Run(ctx, call.Out, c.Config)
}

type topCmd struct {
	flags.Top `embed:""`
}

// Run is as console.Runner says.
func (c *topCmd) Run(ctx context.Context, call console.Call) error {
	return launch.Top.Run(ctx, call.Std, call.Args)
}

type clusterCmd struct {
	flags.Cluster `embed:""`
}

// Run is as console.Runner says, for each of the commands.
func (c *clusterCmd) Run(ctx context.Context, call console.Call) error {
	return launch.Full.Run(ctx, call.Std, call.Args)
}

type soakCmd struct {
	flags.Soak `embed:""`
}

// Run is as console.Runner says.
func (c *soakCmd) Run(ctx context.Context, call console.Call) error {
	if c.List {
		c.PrintList(console.NewScreen(call.Out))
		return nil
	}
	return launch.Soak.Run(ctx, call.Std, call.Args)
}

type benchCmd struct {
	flags.Bench `embed:""`
}

// Run is as console.Runner says, for each of the commands.
func (c *benchCmd) Run(ctx context.Context, call console.Call) error {
	return launch.Bench.Run(ctx, call.Std, call.Args[1:])
}

type versionCmd struct{}

// Run is as console.Runner says.
func (versionCmd) Run(_ context.Context, call console.Call) error {
	_, err := fmt.Fprintln(call.Out, console.Version())
	return err
}
