package demo

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/web"
)

// MaxNodes is the most that --nodes takes.
const MaxNodes = 9

// Config is the flags of demo.
type Config struct {
	Clients  int           `default:"2000" help:"Number of clients. Each takes two open files."`
	Idle     time.Duration `default:"3s" help:"Close a session after this much inactivity. At least 100ms."`
	Active   float64       `default:"0.5" help:"Share of the clients that keep talking, from 0 to 1. The others fall silent."`
	Duration time.Duration `default:"0s" help:"How long to run once all clients are connected, at least twice --idle. 0 means two and a half times --idle."`
	Nodes    int           `default:"0" help:"Show a cluster of this many nodes instead, from 2 to 9. Each is a process of its own, and one is killed. --clients, --idle, --active and --duration have no effect then. 0 shows one server."`

	HTTP web.Config `embed:""`
}

// Help is the text below the summary of demo --help.
func (Config) Help() string {
	return "The server and the clients are real and talk TCP on the loopback interface. " +
		"The exit status is 1 if an active session was closed, a silent one was not, or one was closed early. " +
		"Ctrl-C prints the summary so far. " +
		"With --http the server goes on after the verdict, with clients that come and go, until Ctrl-C; the exit status is still the verdict's. " +
		"The value shown after a flag is its default."
}

// Validate checks the flags.
func (c *Config) Validate() error {
	switch {
	case c.Nodes != 0 && (c.Nodes < 2 || c.Nodes > MaxNodes):
		return fmt.Errorf("--nodes must be from 2 to %d, or 0 for one server, not %d", MaxNodes, c.Nodes)
	case c.Nodes != 0 && c.HTTP.HTTP != "":
		return errors.New("--http does not go with --nodes, which ends with its verdict: drop one of them")
	case c.Clients < 1:
		return fmt.Errorf("--clients must be at least 1, not %d", c.Clients)
	case c.Idle < 100*time.Millisecond:
		return fmt.Errorf("--idle must be at least 100ms, not %v", c.Idle)
	case math.IsNaN(c.Active) || c.Active < 0 || c.Active > 1:
		return fmt.Errorf("--active must be a share from 0 to 1, not %v", c.Active)
	case c.Duration != 0 && c.Duration < 2*c.Idle:
		return fmt.Errorf("--duration must be at least twice --idle, that is %v, or 0", 2*c.Idle)
	}
	return c.HTTP.Check()
}

// talking is how many of the clients keep talking.
func (c Config) talking() int { return int(math.Round(float64(c.Clients) * c.Active)) }

// interval is the time between two messages of a client that talks.
func (c Config) interval() time.Duration { return c.Idle / 6 }
