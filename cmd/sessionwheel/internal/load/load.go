// Package load is the command load: it puts load on an echo server and measures it.
package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/openfiles"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/wait"
)

// Config is the flags of load.
type Config struct {
	Addr     string        `default:"127.0.0.1:7000" want:"host:port, such as 127.0.0.1:7000" help:"Address of the server, host:port."`
	Active   int           `default:"100" help:"Number of connections that send. Each sends its next message when the last one has been echoed."`
	Idle     int           `default:"0" help:"Number of connections that send one message and then wait for the server to close them."`
	Duration time.Duration `default:"10s" help:"How long to send, once all are connected."`
	Rate     float64       `default:"0" help:"Messages a second over all active connections. The round trip of a late message counts from when it was due. 0 means as fast as they are echoed."`
	Size     int           `default:"64" help:"Length of a message's body in bytes."`
	Split    string        `default:"lines" enum:"lines,frames" help:"What a message is, as the server has it: lines or frames."`

	IdleTimeout    time.Duration `default:"0s" help:"The server's idle timeout, to report how late it closes the idle connections. 0 means unknown: the time until each close is reported."`
	ConnectTimeout time.Duration `default:"30s" help:"Maximum time to make all connections."`

	TLS         bool `name:"tls" help:"Connect over TLS."`
	TLSInsecure bool `name:"tls-insecure" help:"Connect over TLS and trust any certificate, such as a test's self-signed one."`
}

// Help is the text below the summary of load --help.
func (Config) Help() string {
	return "Ctrl-C ends it early; it still prints its report. " +
		"The exit status is 1 if a connection failed or, with --idle-timeout, an idle one was closed early or not at all. " +
		"The value shown after a flag is its default."
}

const (
	// lastReplies is how long the replies to the last messages are waited for.
	lastReplies = time.Second

	// overdue is how long after --idle-timeout the server may take to close an idle
	// connection before that counts as a failure.
	overdue = 5 * time.Second

	redraw = 100 * time.Millisecond // interval of the live line
)

// Validate checks the flags.
func (c *Config) Validate() error {
	if _, port, err := net.SplitHostPort(c.Addr); err != nil || port == "" {
		return fmt.Errorf("--addr must be host:port, such as 127.0.0.1:7000, not %q", c.Addr)
	}
	switch {
	case c.Active < 0:
		return errors.New("--active must not be negative")
	case c.Idle < 0:
		return errors.New("--idle is a number of connections and must not be negative")
	case c.Active+c.Idle == 0:
		return errors.New("--active and --idle are both 0: nothing to do")
	case c.Duration <= 0:
		return errors.New("--duration must be more than 0")
	case !(c.Rate >= 0):
		return errors.New("--rate must not be negative; 0 means no limit")
	case c.Size < 1 || c.Size > 65535:
		return fmt.Errorf("--size must be from 1 to 65535 bytes, not %d", c.Size)
	case c.IdleTimeout < 0:
		return errors.New("--idle-timeout must not be negative; 0 means unknown")
	case c.Idle > 0 && c.IdleTimeout > c.Duration:
		return fmt.Errorf("--duration %v is shorter than --idle-timeout %v: no idle connection would be closed in time", c.Duration, c.IdleTimeout)
	case c.ConnectTimeout <= 0:
		return errors.New("--connect-timeout must be more than 0")
	}
	return nil
}

// tlsConfig is nil unless TLS is asked for.
func (c *Config) tlsConfig() *tls.Config {
	if !c.TLS && !c.TLSInsecure {
		return nil
	}
	host, _, _ := net.SplitHostPort(c.Addr)
	return &tls.Config{ServerName: host, InsecureSkipVerify: c.TLSInsecure}
}

// Run puts load on a server and reports. It returns console.ErrFailed if the report
// shows a failure, and the cause of ctx if that ends first, after the report.
// All it has started has ended when it returns.
func Run(ctx context.Context, w io.Writer, cfg Config) error {
	if err := openfiles.Need(cfg.Active+cfg.Idle, "--active or --idle"); err != nil {
		return err
	}
	if err := probe(ctx, cfg); err != nil {
		return err
	}
	sc := console.NewScreen(w)
	sc.Printf("%s active and %s idle connections to %s,", console.Count(cfg.Active), console.Count(cfg.Idle), cfg.Addr)
	sc.Printf("%s of %s bytes, for %v:\n", cfg.Split, console.Count(cfg.Size), cfg.Duration)

	// The connections outlive ctx, so that what was measured is settled and the
	// last replies are read before they end.
	conns, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	talk, stopSending := context.WithCancel(conns)
	defer stopSending()
	l := newLoad(cfg)
	l.start(conns, talk)
	l.watch(ctx, sc)
	l.stop()
	stopSending()
	wait.AtMost(&l.talks, lastReplies)
	end()
	l.wg.Wait()
	sc.Separate()
	l.report(sc)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case l.failed():
		return console.ErrFailed
	}
	return nil
}

// probe makes one connection, so that there is one line of error for a server that
// cannot be reached.
func probe(ctx context.Context, cfg Config) error {
	c, err := echo.Dial(ctx, cfg.Addr, cfg.tlsConfig(), echo.Protocol{})
	if err == nil {
		return c.Close()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	hint := "start a server (sessionwheel serve) or correct --addr"
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &cert):
		hint = "use --tls-insecure to trust any"
	case errors.Is(err, echo.ErrHandshake):
		hint = "leave --tls out if the server speaks plain TCP"
	}
	return fmt.Errorf("cannot reach %s: %s: %s", cfg.Addr, echo.Cause(err), hint)
}

// watch shows the progress until the load is done or ctx is.
func (l *load) watch(ctx context.Context, sc *console.Screen) {
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			sc.Progress(l.line(now))
			if l.done(now) {
				return
			}
		}
	}
}
