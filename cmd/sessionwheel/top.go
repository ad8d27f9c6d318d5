package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/top"
)

type topConfig struct {
	URL      string        `arg:"" optional:"" name:"url" default:"http://127.0.0.1:8080/" help:"Where the server's page is: a port, host:port or a URL; without it http://127.0.0.1:8080/."`
	Interval time.Duration `default:"1s" help:"Time between two looks at the server, at least 100ms."`
	Once     bool          `help:"Print what there is now as plain text, and exit. It is what happens anyway where the output is no terminal."`
	Rows     int           `default:"10" help:"Sessions that --once prints, at most 500."`
	Sort     string        `default:"idle" enum:"id,address,age,idle,remaining" help:"What the sessions are sorted by, the greatest first: id, address, age, idle or remaining."`
	Reverse  bool          `help:"The least first."`
	Filter   string        `placeholder:"TEXT" help:"Only the session with this ID, or those with this in their address."`
}

// Help is the text below the summary of top --help.
func (topConfig) Help() string {
	return "The server is one that runs with --http, as serve and demo do. " +
		"Keys: q or Ctrl-C quits, s and S change the sort column, r reverses it, / filters, n and p turn the page, " +
		"g goes to the first, space pauses. " +
		"NO_COLOR turns colors off. A value shown behind a flag is its default."
}

// Validate is called by kong once the flags are set.
func (c *topConfig) Validate() error {
	switch {
	case c.Interval < 100*time.Millisecond:
		return fmt.Errorf("--interval must be at least 100ms, not %v", c.Interval)
	case c.Rows < 0 || c.Rows > 500:
		return fmt.Errorf("--rows must be from 0 to 500, not %d", c.Rows)
	case !slices.Contains(top.Columns, c.Sort): // the flag's enum and the package disagree
		return fmt.Errorf("--sort must be one of %s", strings.Join(top.Columns, ", "))
	case len(c.Filter) > 100:
		return errors.New("--filter must not be longer than 100 bytes")
	}
	_, err := top.ParseURL(c.URL)
	return err
}

// Run is called by kong.
func (c *topConfig) Run(ctx context.Context, std console.Std) error { return runTop(ctx, std.Out, *c) }

// runTop shows a server on w: live if that is a terminal, else once.
func runTop(ctx context.Context, w io.Writer, cfg topConfig) error {
	u, err := top.ParseURL(cfg.URL)
	if err != nil {
		return err
	}
	view := top.Config{
		URL: u, Interval: cfg.Interval, Sort: cfg.Sort, Reverse: cfg.Reverse, Filter: cfg.Filter, Rows: cfg.Rows,
		ASCII: !console.SpeaksUTF8(), NoColor: os.Getenv("NO_COLOR") != "",
	}
	f, ok := w.(*os.File)
	if cfg.Once || !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
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
