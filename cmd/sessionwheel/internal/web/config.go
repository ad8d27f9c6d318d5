package web

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
)

// Config is the flags of the HTTP server beside a command's own server.
type Config struct {
	HTTP          string   `name:"http" placeholder:"ADDR" want:"a port, such as 8080, or host:port" help:"Serve a page that shows the sessions, at this address: a port on the loopback interface, such as 8080, or host:port; port 0 takes a free one. /healthz is beside it."`
	HTTPHost      []string `name:"http-host" placeholder:"NAME" help:"Answer requests for this name too, besides localhost and IP addresses. May be repeated; * allows any name."`
	HTTPClose     bool     `name:"http-close" help:"Let the page close sessions, for those who have the token. Without --http-token-file a token is made, and printed with the page's address."`
	HTTPTokenFile string   `name:"http-token-file" type:"existingfile" placeholder:"FILE" help:"File with a token of at least 16 characters. Everything but /healthz then demands it, in the page's login form or as a bearer token. The variable SESSIONWHEEL_HTTP_TOKEN may have the token instead. One of the two is required beyond the loopback interface, unless --http-open is set."`
	HTTPOpen      bool     `name:"http-open" help:"Serve the page without a token, even beyond the loopback interface: anyone who can connect sees all sessions. Closing a session still needs a token."`
	Page          bool     `default:"true" negatable:"" help:"Serve the page and its API, with --http."`
	Metrics       bool     `help:"Serve /metrics for Prometheus as well, with --http."`
	Healthz       bool     `default:"true" negatable:"" help:"Serve /healthz, with --http: 200, or 503 while the server drains, and while it is a node that has lost its lease and refuses logins."`
	Pprof         bool     `help:"Serve Go's profiles at /debug/pprof/ as well, with --http. They show what the program does and cost time; the command line is not among them."`

	headerTimeout time.Duration // of tests; 0 means the constant
}

// Check says what is wrong with the flags.
func (c *Config) Check() error {
	if c.HTTP == "" {
		switch {
		case len(c.HTTPHost) > 0:
			return errors.New("--http-host needs --http")
		case c.HTTPClose:
			return errors.New("--http-close needs --http")
		case c.HTTPTokenFile != "":
			return errors.New("--http-token-file needs --http")
		case c.HTTPOpen:
			return errors.New("--http-open needs --http")
		case c.Metrics:
			return errors.New("--metrics needs --http")
		case c.Pprof:
			return errors.New("--pprof needs --http")
		case !c.Page, !c.Healthz:
			return errors.New("--no-page and --no-healthz need --http")
		}
		return nil
	}
	addr, err := c.addr()
	if err != nil {
		return err
	}
	token, err := flags.ReadToken("--http-token-file", c.HTTPTokenFile)
	if err != nil {
		return err
	}
	if host, _, _ := net.SplitHostPort(addr); token == "" && !c.HTTPOpen && isBeyondLoopback(host) {
		return errNoToken
	}
	for _, name := range c.HTTPHost {
		if name == "" || strings.ContainsAny(name, ":/ ") {
			return fmt.Errorf("--http-host must be a name without scheme, port and path, such as ops.example.com, not %q", name)
		}
	}
	switch {
	case !c.Page && !c.Metrics && !c.Healthz && !c.Pprof:
		return errors.New("--http has nothing left to serve: drop one of --no-page and --no-healthz, or --http")
	case c.HTTPClose && !c.Page:
		return errors.New("--http-close needs the page: drop --no-page")
	}
	return nil
}

// errNoToken is returned for a page that others could read.
var errNoToken = errors.New("--http listens beyond this machine and has no token: give --http-token-file FILE or set " + flags.TokenEnv + ", or let anyone see the sessions with --http-open")

// isBeyondLoopback reports whether the host is an IP address of more than the
// loopback. What a name stands for shows when it is listened on.
func isBeyondLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && !ip.IsLoopback()
}

// addr is where to listen. Without a host that is the loopback.
func (c *Config) addr() (string, error) {
	host, port, err := net.SplitHostPort(c.HTTP)
	if err != nil { // a port alone
		host, port = "", c.HTTP
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("--http must be a port or host:port, such as 8080 or 127.0.0.1:8080, not %q", c.HTTP)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
