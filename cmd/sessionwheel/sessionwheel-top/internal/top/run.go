package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
)

// Config says what to show. URL and Interval are required.
type Config struct {
	URL      *url.URL      // of the dashboard
	Token    string        // that the dashboard's server wants; "" for none
	Interval time.Duration // between two looks at the server
	Sort     string        // one of Columns; "" means idle
	Reverse  bool          // the least first; the sessions with the most are otherwise
	Filter   string        // shows sessions with this ID, or this in their address; "" means all
	Rows     int           // of the table that Once prints; 0 means none, at most 500 are shown
	ASCII    bool          // no block characters and arrows
	NoColor  bool
}

// query is the first.
func (c Config) query() query {
	q := query{open: true, sort: c.Sort, desc: !c.Reverse, filter: c.Filter, limit: min(max(0, c.Rows), maxLimit)}
	if !slices.Contains(Columns, q.sort) {
		q.sort = "idle"
	}
	return q
}

// Once writes what the server shows now to w, as plain text.
func Once(ctx context.Context, w io.Writer, cfg Config) error {
	s := newServer(cfg.URL, cfg.Token)
	defer s.close()
	q := cfg.query()
	q.closed = true
	got := s.look(ctx, q)
	if got.err != nil {
		return s.explain(ctx, got.err)
	}
	_, err := io.WriteString(w, plain(s.String(), got))
	return err
}

// Live shows the server on a terminal, which it gives back as it was, until a
// key ends it, which is nil, or ctx does, which is its cause. All it has started
// has ended when it returns, but for a read of the terminal that cannot be
// interrupted.
func Live(ctx context.Context, terminal *os.File, cfg Config) error {
	s := newServer(cfg.URL, cfg.Token)
	defer s.close()
	q := cfg.query()
	q.limit = maxLimit
	first := s.look(ctx, q)
	if first.err != nil {
		return s.explain(ctx, first.err)
	}
	f := newFeed(s, cfg.Interval, q)
	glyphs := blocks
	if cfg.ASCII {
		glyphs = asciis
	}
	m := newModel(f, glyphs)
	m.took(first)

	options := []tea.ProgramOption{tea.WithOutput(terminal), tea.WithoutSignalHandler(), tea.WithFPS(30)}
	if cfg.NoColor {
		options = append(options, tea.WithColorProfile(colorprofile.ASCII))
	}
	p := tea.NewProgram(m, options...)
	running, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { f.run(running, func(s sample) { p.Send(s) }) })
	wg.Go(func() { // ended by stop; a quit gives the terminal back, where the end of a context would not in all cases
		<-running.Done()
		p.Quit()
	})
	_, err := p.Run()
	stop()
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("the terminal: %s", printable(err.Error(), 200))
	}
	return nil
}

// explain says in a line why there is nothing to show, and what to do.
func (s *server) explain(ctx context.Context, err error) error {
	var said refusalError
	var op *net.OpError
	silent := errors.As(err, &op) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &said) && strings.HasPrefix(said.status, "401"):
		return fmt.Errorf("%s wants a token: %s: give --token-file FILE or set %s", s, said.text, flags.TokenEnv)
	case errors.As(err, &said):
		return fmt.Errorf("%s refuses: %w", s, said)
	case silent:
		return fmt.Errorf("no answer from %s: %s: start a server with \"sessionwheel serve --http 127.0.0.1:8080\", or give another URL", s, cause(err))
	default:
		return fmt.Errorf("%s is no sessionwheel dashboard: %s: give the URL that \"sessionwheel serve --http ADDR\" logs", s, cause(err))
	}
}
