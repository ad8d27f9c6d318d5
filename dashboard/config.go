package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

const (
	defaultTitle        = "sessionwheel"
	defaultInterval     = time.Second
	minInterval         = 100 * time.Millisecond
	defaultWriteTimeout = 5 * time.Second
	defaultMaxPages     = 64
)

// Config says what a [Handler] shows. Source is required.
type Config struct {
	// Title is shown at the top of the page. "" means "sessionwheel".
	Title string

	// Source is whose sessions are shown, as [Server], [UDP] or [Pool] makes it.
	Source Source

	// Wheel is drawn as it is. It should be the one that keeps the timers of the
	// Source. Nil means that no wheel and no lateness are shown.
	Wheel *wheel.Wheel

	// Cluster is the cluster that this server is a node of: its nodes are shown, and
	// its sessions can be searched. Nil shows nothing of a cluster.
	Cluster Cluster

	// Authorize is asked before a session is closed: nil lets it be closed, and
	// the text of an error goes into the answer, which is a 403. It is called on the
	// request's goroutine with no lock held, by many requests at once. A nil
	// Authorize means that no session can be closed.
	Authorize func(*http.Request) error

	// Hosts are the names that the dashboard is reached under, as "ops.example.com":
	// without a port, and "*" for any name, where what stands in front checks it.
	// IP addresses and "localhost" need not be named. A request for another name is
	// answered with 403, see the package's comment.
	Hosts []string

	// Interval is how often the figures are taken while somebody looks. 0 means 1
	// second; less than 100ms is an error.
	Interval time.Duration

	// WriteTimeout is how long one event may take to be written before its stream
	// is ended. 0 means 5 seconds; negative is an error.
	WriteTimeout time.Duration

	// MaxPages is how many event streams there may be at once, and how many
	// searches, here and in the cluster, may wait for their turn. 0 means 64;
	// negative is an error. Further ones are answered with 503 and 429, and a
	// Retry-After.
	MaxPages int
}

// withDefaults fills in what is zero, and names the first field that is wrong.
func (c Config) withDefaults() (Config, error) {
	if c.Title == "" {
		c.Title = defaultTitle
	}
	if c.Source.sessions == nil {
		return c, errors.New("dashboard: Config.Source is missing: use dashboard.Server, dashboard.UDP or dashboard.Pool, of one that is not nil")
	}
	hosts := make([]string, len(c.Hosts))
	for i, name := range c.Hosts {
		if name == "" || strings.ContainsAny(name, ":/ ") {
			return c, fmt.Errorf("dashboard: Config.Hosts has %q: use a name without scheme, port and path, or * for any", name)
		}
		hosts[i] = canonicalHost(name)
	}
	c.Hosts = hosts
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.Interval < minInterval {
		return c, fmt.Errorf("dashboard: Config.Interval is %v: use at least %v, or 0 for %v", c.Interval, minInterval, defaultInterval)
	}
	if c.WriteTimeout < 0 {
		return c, fmt.Errorf("dashboard: Config.WriteTimeout is %v: use a positive duration, or 0 for %v", c.WriteTimeout, defaultWriteTimeout)
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = defaultWriteTimeout
	}
	if c.MaxPages < 0 {
		return c, fmt.Errorf("dashboard: Config.MaxPages is %d: use a positive number, or 0 for %d", c.MaxPages, defaultMaxPages)
	}
	if c.MaxPages == 0 {
		c.MaxPages = defaultMaxPages
	}
	return c, nil
}
