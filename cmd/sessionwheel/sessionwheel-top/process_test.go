package main

import (
	"context"
	"os"
	"testing"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/serve"
)

// TestMain runs the program itself, or the serve that it shows, in place of the
// tests, in the processes that the tests start.
func TestMain(m *testing.M) {
	consoletest.Main(m, func() {
		if len(os.Args) > 1 && os.Args[1] == "serve" {
			server := console.Program{Commands: &struct {
				Serve serveCmd `cmd:""`
			}{}}
			os.Exit(server.Run(os.Args[1:], console.Std{Out: os.Stdout, Err: os.Stderr}))
		}
		main()
	})
}

type serveCmd struct {
	serve.Config `embed:""`
}

// Run is as console.Runner says.
func (c *serveCmd) Run(ctx context.Context, call console.Call) error {
	return serve.Run(ctx, call.Err, c.Config)
}
