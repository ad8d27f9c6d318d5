package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/web"
)

// Config is the flags of serve.
type Config struct {
	Addr         string        `default:"127.0.0.1:7000" want:"host:port, such as 127.0.0.1:7000" help:"Address to listen on, host:port; port 0 takes a free one."`
	Idle         time.Duration `default:"5m" help:"Close a session after this much inactivity. 0 means never."`
	Split        string        `default:"lines" enum:"lines,frames" help:"What a message is: lines (ended by a newline) or frames ('$', a length of two bytes, '#', the body)."`
	MaxFrame     int           `default:"131072" help:"Maximum length of a message in bytes, as sent; a longer one ends its session."`
	MaxLifetime  time.Duration `default:"0s" help:"Close a session when it is this old, however active. 0 means no limit."`
	FrameTimeout time.Duration `default:"30s" help:"Maximum time for one message to arrive, from its first byte. 0 means no limit."`
	WriteTimeout time.Duration `default:"30s" help:"Close a session whose peer reads nothing for this long. 0 means no limit."`

	MaxSessions      int `default:"0" help:"Maximum number of sessions; further connections are closed. 0 means 65,536."`
	MaxSessionsPerIP int `name:"max-sessions-per-ip" default:"0" help:"Maximum number of sessions from one IP address, or from one /64 network of IPv6. 0 means no limit."`

	TLSCert string `name:"tls-cert" placeholder:"FILE" type:"existingfile" help:"Certificate in PEM, with its chain. Together with --tls-key it turns TLS on."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" type:"existingfile" help:"Private key in PEM of --tls-cert."`

	HTTP web.Config `embed:""`
	Node flags.Node `embed:""`

	LogFormat string        `default:"text" enum:"text,json" help:"Format of the log on standard error: text or json."`
	LogLevel  string        `default:"info" enum:"debug,info,warn,error" help:"Minimum level to log: debug (each message too), info (sessions opening and closing), warn or error."`
	Drain     time.Duration `default:"10s" help:"How long to wait for sessions to end after SIGINT or SIGTERM. A second signal ends the program at once."`

	EndWithStdin bool `hidden:"" help:"Stop as on SIGTERM at the end of standard input, such as when the process at its other side ends."`
}

// Help is the text below the summary of serve --help.
func (Config) Help() string {
	return "Each message is sent back unchanged, and counts as activity. " +
		"SIGINT and SIGTERM drain the server; the exit status is then 0, or 1 if sessions had to be cut off. " +
		"With --cluster the server is a node of a cluster. Its brokers run elsewhere or, with --cluster embedded, in this process. " +
		"The first message of a session may then be \"login NAME\", which is answered with \"ok\" or \"error: ...\": " +
		"an earlier session with that name, on any node, is closed with \"Replaced\". " +
		"The value shown after a flag is its default."
}

// Validate checks the flags.
func (c *Config) Validate() error {
	if _, port, err := net.SplitHostPort(c.Addr); err != nil || port == "" {
		return fmt.Errorf("--addr must be host:port, such as 127.0.0.1:7000, not %q", c.Addr)
	}
	switch {
	case c.Idle < 0:
		return errors.New("--idle must not be negative; 0 means never")
	case c.MaxLifetime < 0:
		return errors.New("--max-lifetime must not be negative; 0 means no limit")
	case c.FrameTimeout < 0:
		return errors.New("--frame-timeout must not be negative; 0 means no limit")
	case c.WriteTimeout < 0:
		return errors.New("--write-timeout must not be negative; 0 means no limit")
	case c.MaxFrame < 1:
		return errors.New("--max-frame must be at least 1")
	case c.MaxSessions < 0:
		return errors.New("--max-sessions must not be negative; 0 means 65,536")
	case c.MaxSessionsPerIP < 0:
		return errors.New("--max-sessions-per-ip must not be negative; 0 means no limit")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together: give both or neither")
	case c.Drain <= 0:
		return errors.New("--drain must be more than 0")
	}
	if err := c.HTTP.Check(); err != nil {
		return err
	}
	return c.Node.Check()
}

// settings are those of the echo server.
func (c *Config) settings() (ServerConfig, error) {
	s := ServerConfig{
		Protocol: echo.ProtocolOf(c.Split), MaxFrame: c.MaxFrame,
		Idle: c.Idle, MaxLifetime: c.MaxLifetime, FrameTimeout: c.FrameTimeout, WriteTimeout: c.WriteTimeout,
		MaxSessions: c.MaxSessions, MaxSessionsPerIP: c.MaxSessionsPerIP,
	}
	if c.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return s, fmt.Errorf("--tls-cert %s, --tls-key %s: %w", c.TLSCert, c.TLSKey, err)
		}
		s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	return s, nil
}

// logger writes to w as the flags say.
func (c *Config) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // the flag allows only slog's names
	opts := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
