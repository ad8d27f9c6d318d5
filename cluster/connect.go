package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// maxPing is the longest ping interval that ConnOptions sets.
const maxPing = 10 * time.Second

// ConnOptions returns the options that the connection of a node or a client needs. lease
// is the node's Config.LeaseTTL; 0 and negative mean the minimum of 6 s. Append other
// options, for example for TLS and credentials:
//
//	nats.Connect(url, append(cluster.ConnOptions(0), nats.UserCredentials(file))...)
//
// With these options, the connection does not keep writes while it is disconnected. It
// reconnects without a limit, even while the broker refuses its credentials. It sends a
// ping every sixth of the lease, at least every 10 s, two of which may stay unanswered.
func ConnOptions(lease time.Duration) []nats.Option {
	if lease <= 0 {
		lease = minLease
	}
	return []nats.Option{
		// By default, nats.go keeps writes while it is disconnected and executes them
		// later, although it has reported them as failed: a claim that was given up.
		nats.ReconnectBufSize(-1),
		nats.MaxReconnects(-1),
		// By default, nats.go gives up for good at the second authorization error of a
		// broker, for example while credentials are changed.
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.Timeout(time.Second),
		// By default, nats.go notices a dead connection after four minutes.
		nats.PingInterval(min(lease/6, maxPing)),
		nats.MaxPingsOutstanding(2),
	}
}

// checkConn returns an error if a connection has unsuitable options. field is the name of
// its field in the error.
func checkConn(field string, nc *nats.Conn, lease time.Duration) error {
	if nc == nil {
		return nil
	}
	o := nc.Opts
	switch {
	case nc.IsClosed():
		return fmt.Errorf("cluster: %s is closed", field)
	case o.ReconnectBufSize >= 0:
		return fmt.Errorf("cluster: %s keeps writes while it is disconnected and executes them after they have failed: connect with ConnOptions, or nats.ReconnectBufSize(-1)", field)
	case !o.AllowReconnect || o.MaxReconnect >= 0:
		return fmt.Errorf("cluster: %s limits the attempts to reconnect: connect with ConnOptions, or nats.MaxReconnects(-1)", field)
	case !o.IgnoreAuthErrorAbort:
		return fmt.Errorf("cluster: %s gives up for good at the second authorization error: connect with ConnOptions, or nats.IgnoreAuthErrorAbort()", field)
	case o.PingInterval <= 0 || o.PingInterval > lease/3:
		return fmt.Errorf("cluster: %s pings every %v, too rarely to notice a dead connection within a lease of %v: connect with ConnOptions, or nats.PingInterval(%v) at most", field, o.PingInterval, lease, lease/3)
	}
	return nil
}

// dial connects to the URL of c, and retries until ctx ends. who is the name of the
// connection that the broker shows, and field the name of the URL's field in an error.
func dial(ctx context.Context, c Config, lease time.Duration, who, field string) (*nats.Conn, error) {
	for {
		nc, err := nats.Connect(c.URL, append(ConnOptions(lease),
			nats.Name("sessionwheel "+who),
			// By default, nats.go writes errors to standard error.
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
				c.Logger.Debug("error of the connection to the broker", "of", who, "error", err)
			}))...)
		if err == nil {
			return nc, nil
		}
		var u *url.Error
		switch {
		case errors.As(err, &u) && strings.Contains(c.URL, "@"): // its text may contain the password
			return nil, fmt.Errorf("cluster: %s is no URL: percent-encode '/', '#', '@', ':' and '%%' in its password", field)
		case !mayPass(err):
			return nil, fmt.Errorf("cluster: %s: %w", field, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: broker at %s: %w", ErrUnavailable, field, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// mayPass reports whether an attempt to connect may succeed later: nobody listens, or the
// broker is too slow to answer.
func mayPass(err error) bool {
	var slow net.Error
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.As(err, &slow) && slow.Timeout()
}

// again makes another connection with the options of one, and retries until ctx ends.
func again(ctx context.Context, nc *nats.Conn) (*nats.Conn, error) {
	o := nc.Opts
	o.Name += " heartbeats"
	for {
		other, err := o.Connect()
		if err == nil {
			return other, nil
		}
		if !mayPass(err) {
			return nil, fmt.Errorf("cluster: connection for heartbeats: %w", err)
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return nil, fmt.Errorf("%w: connection for heartbeats: %w", ErrUnavailable, err)
		}
	}
}
