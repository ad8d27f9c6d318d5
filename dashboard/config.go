package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/httpguard"
	"github.com/sessionwheel/sessionwheel/wheel"
)

const (
	defaultTitle        = "sessionwheel"
	defaultInterval     = time.Second
	minInterval         = 100 * time.Millisecond
	defaultHistory      = 5 * time.Minute
	minHistory          = time.Minute
	maxHistory          = 24 * time.Hour
	defaultWriteTimeout = 5 * time.Second
	defaultMaxPages     = 64
)

// Config configures a [Handler]. Source is required.
type Config struct {
	// Title is shown at the top of the page. "" means "sessionwheel".
	Title string

	// Source provides the sessions: use [Server], [UDP] or [Pool].
	Source Source

	// Wheel is the wheel to show. It should be the one that runs the Source's
	// timers. If nil, the page shows no wheel and no lateness.
	Wheel *wheel.Wheel

	// Cluster is the cluster that this server is a node of. The page lists its nodes
	// and searches its sessions. If nil, the page shows no cluster.
	Cluster Cluster

	// Authorize decides whether a request may close a session: nil means yes. An
	// error means no; its text is sent to the client with status 403. Authorize is
	// called on the request's goroutine with no lock held, by many requests at once.
	// If it is nil itself, no session can be closed.
	Authorize func(*http.Request) error

	// Hosts lists the host names under which the dashboard is reached, such as
	// "ops.example.com", without a port; "*" allows any name, for use behind a proxy
	// that checks it. IP addresses and "localhost" are always allowed. A request for
	// any other name gets status 421; the package comment says why.
	Hosts []string

	// Interval is the time between two events of a stream. 0 means 1 second; less
	// than 100ms is an error.
	Interval time.Duration

	// History is the time span of the page's sparklines. The handler takes 150
	// samples in that time, also while no page is open, so that a new page shows them
	// at once. 0 means 5 minutes; less than 1 minute or more than 24 hours is an error.
	// Negative turns it off: a new page then begins with empty sparklines, and the
	// handler does nothing while no page is open.
	History time.Duration

	// WriteTimeout limits how long writing one event may take; after that the stream
	// ends. 0 means 5 seconds; negative is an error.
	WriteTimeout time.Duration

	// MaxPages limits the number of open event streams, and for each kind of request that
	// is answered one at a time, such as a search, the number of those that wait for
	// their turn. 0 means 64; negative is an error. A request beyond the limit gets status
	// 503 or 429 and a Retry-After header.
	MaxPages int
}

// withDefaults returns c with its zero fields filled in. The error names the first
// invalid field.
func (c Config) withDefaults() (Config, error) {
	if c.Title == "" {
		c.Title = defaultTitle
	}
	if c.Source.sessions == nil {
		return c, errors.New("dashboard: Config.Source is missing: use dashboard.Server, dashboard.UDP or dashboard.Pool with one that is not nil")
	}
	hosts := make([]string, len(c.Hosts))
	for i, name := range c.Hosts {
		if name == "" || strings.ContainsAny(name, ":/ ") {
			return c, fmt.Errorf("dashboard: Config.Hosts has %q: use a name without scheme, port and path, or * for any", name)
		}
		hosts[i] = httpguard.CanonicalHost(name)
	}
	c.Hosts = hosts
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.Interval < minInterval {
		return c, fmt.Errorf("dashboard: Config.Interval is %v: use at least %v, or 0 for %v", c.Interval, minInterval, defaultInterval)
	}
	if c.History == 0 {
		c.History = defaultHistory
	}
	if c.History > 0 && (c.History < minHistory || c.History > maxHistory) {
		return c, fmt.Errorf("dashboard: Config.History is %v: use %v to %v, 0 for %v, or a negative duration for none",
			c.History, minHistory, maxHistory, defaultHistory)
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
