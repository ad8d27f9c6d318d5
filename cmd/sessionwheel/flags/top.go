package flags

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

// Top is the flags of top.
type Top struct {
	URL       string        `arg:"" optional:"" name:"url" default:"http://127.0.0.1:8080/" help:"Address of the server's page: a port, host:port or a URL. Without it, http://127.0.0.1:8080/."`
	Interval  time.Duration `default:"1s" help:"Time between two updates, at least 100ms."`
	Once      bool          `help:"Print the current state as plain text and exit, as always if the output is not a terminal."`
	Rows      int           `default:"10" help:"Number of sessions that --once prints, at most 500."`
	Sort      string        `default:"idle" enum:"id,address,age,idle,remaining" help:"Column to sort the sessions by, the greatest first: id, address, age, idle or remaining."`
	Reverse   bool          `help:"Show the least first."`
	TokenFile string        `type:"existingfile" placeholder:"FILE" help:"File with the token of the server's --http-token-file. The variable SESSIONWHEEL_HTTP_TOKEN may have the token instead."`
	Filter    string        `placeholder:"TEXT" help:"Show only the session with this ID, or those with this text in their address."`
}

// Help is the text below the summary of top --help.
func (Top) Help() string {
	return "The server must run with --http, as serve and demo do. " +
		"Keys: q or Ctrl-C quits, s and S change the sort column, r reverses it, / filters, n and p turn the page, " +
		"g goes to the first page, c shows the sessions that closed last, space pauses, ? lists the keys. " +
		"NO_COLOR turns colors off. The value shown after a flag is its default."
}

// Validate checks the flags.
func (c *Top) Validate() error {
	switch {
	case c.Interval < 100*time.Millisecond:
		return fmt.Errorf("--interval must be at least 100ms, not %v", c.Interval)
	case c.Rows < 0 || c.Rows > 500:
		return fmt.Errorf("--rows must be from 0 to 500, not %d", c.Rows)
	case len(c.Filter) > 100:
		return errors.New("--filter must not be longer than 100 bytes")
	}
	if _, err := c.Token(); err != nil {
		return err
	}
	_, err := DashboardURL(c.URL)
	return err
}

// Token returns the server's token, or "" if none is given.
func (c *Top) Token() (string, error) { return ReadToken("--token-file", c.TokenFile) }

// DashboardURL returns the URL of a dashboard from what a user writes for one: a
// port, a host and a port, or a whole URL, with a path if it is mounted below one.
func DashboardURL(text string) (*url.URL, error) {
	wrong := fmt.Errorf("not the URL of a dashboard: %.80q: write one such as http://127.0.0.1:8080/", console.Clean(text))
	full := text
	switch port := strings.TrimPrefix(text, ":"); {
	case strings.Trim(port, "0123456789") == "":
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return nil, wrong
		}
		full = "http://127.0.0.1:" + port
	case !strings.Contains(text, "://"):
		full = "http://" + text
	}
	u, err := url.Parse(full)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, wrong
	}
	if !strings.HasSuffix(u.Path, "/") {
		u = u.JoinPath("/")
	}
	return u, nil
}
