// Command sessionwheel-top shows a running server live in the terminal. It is
// started as "sessionwheel top".
package main

import (
	"context"
	"io"
	"os"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/sessionwheel-top/internal/top"
)

// commands is the command line.
type commands struct {
	Top topCmd `cmd:"" default:"" help:"Watch a server that runs with --http, live in the terminal."`
}

type topCmd struct {
	flags.Top `embed:""`
}

// Run is as console.Runner says.
func (c *topCmd) Run(ctx context.Context, call console.Call) error { return show(ctx, call.Out, c.Top) }

func program() console.Program {
	return console.Program{
		Commands:    &commands{},
		Description: "Shows a running server live in the terminal.",
	}
}

func main() { os.Exit(program().Run(os.Args[1:], console.Std{Out: os.Stdout, Err: os.Stderr})) }

// show shows a server on w: live if that is a terminal, else once.
func show(ctx context.Context, w io.Writer, cfg flags.Top) error {
	u, err := flags.DashboardURL(cfg.URL)
	if err != nil {
		return err
	}
	token, err := cfg.Token()
	if err != nil {
		return err
	}
	view := top.Config{
		URL: u, Token: token, Interval: cfg.Interval, Sort: cfg.Sort, Reverse: cfg.Reverse, Filter: cfg.Filter, Rows: cfg.Rows,
		ASCII: !console.SpeaksUTF8(), NoColor: os.Getenv("NO_COLOR") != "",
	}
	f, ok := console.Terminal(w)
	if cfg.Once || !ok || os.Getenv("TERM") == "dumb" {
		return top.Once(ctx, w, view)
	}
	defer console.AtExit(restorer(f))()
	return top.Live(ctx, f, view)
}

// restorer returns what gives the terminal back as it is now: its modes first,
// since what is written may block.
func restorer(terminal *os.File) func() {
	fd := int(terminal.Fd())
	state, err := term.GetState(fd)
	return func() {
		if err == nil {
			_ = term.Restore(fd, state)
		}
		_, _ = terminal.WriteString(ansi.ResetModeAltScreenSaveCursor + ansi.SetModeTextCursorEnable + ansi.ResetModeBracketedPaste)
	}
}
