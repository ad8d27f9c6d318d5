// Command soak looks for broken guarantees for a long time, under faults of every
// kind. It is started as "sessionwheel soak", or with "go run ./lab/soak".
package main

import (
	"context"
	"os"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/lab/soak/soak"
)

// commands is the command line.
type commands struct {
	Soak command `cmd:"" default:"" help:"Look for broken guarantees, under faults of every kind."`
}

type command struct {
	flags.Soak `embed:""`
}

// Run is as console.Runner says.
func (c *command) Run(ctx context.Context, call console.Call) error {
	return run(ctx, call.Out, c.Soak)
}

func program() console.Program {
	return console.Program{
		Commands:    &commands{},
		Description: "Looks for broken guarantees of sessionwheel, under faults of every kind.",
	}
}

func main() {
	soak.ChildMain()
	os.Exit(program().Run(os.Args[1:], console.Std{Out: os.Stdout, Err: os.Stderr}))
}
