package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// maxPing is the longest ping interval that ConnOptions sets.
const maxPing = 10 * time.Second

// ConnOptions are what a node or a client needs of its connection; lease is the node's
// Config.LeaseTTL, and 0 the least there is. Append your own for TLS and
// credentials:
//
//	nats.Connect(url, append(cluster.ConnOptions(0), nats.UserCredentials(file))...)
//
// They set: no writes kept for later while there is no connection, attempts to
// reconnect without end, and a ping every sixth of the lease (10 s at most), two of
// which may go unanswered.
func ConnOptions(lease time.Duration) []nats.Option {
	if lease <= 0 {
		lease = minLease
	}
	return []nats.Option{
		// The client would keep what is written while it is disconnected, report the
		// failure, and write it all the same later: a claim that was given up.
		nats.ReconnectBufSize(-1),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.Timeout(time.Second),
		// By default a connection that nothing comes back from is noticed after
		// four minutes.
		nats.PingInterval(min(lease/6, maxPing)),
		nats.MaxPingsOutstanding(2),
	}
}

// checkConn says what is wrong with a connection that was not made with
// ConnOptions. Field is where it comes from.
func checkConn(field string, nc *nats.Conn, lease time.Duration) error {
	if nc == nil {
		return nil
	}
	o := nc.Opts
	switch {
	case nc.IsClosed():
		return fmt.Errorf("cluster: %s is closed", field)
	case o.ReconnectBufSize >= 0:
		return fmt.Errorf("cluster: %s keeps writes while it is disconnected and makes them after they have failed: connect with ConnOptions, or nats.ReconnectBufSize(-1)", field)
	case !o.AllowReconnect || o.MaxReconnect >= 0:
		return fmt.Errorf("cluster: %s gives up after some attempts to reconnect: connect with ConnOptions, or nats.MaxReconnects(-1)", field)
	case o.PingInterval <= 0 || o.PingInterval > lease/3:
		return fmt.Errorf("cluster: %s pings every %v, which finds a dead connection later than a lease of %v: connect with ConnOptions, or nats.PingInterval(%v) at most", field, o.PingInterval, lease, lease/3)
	}
	return nil
}

// dial makes a connection of the package's own, for whom the broker shows as who.
// Field is where the URL comes from.
func dial(ctx context.Context, c Config, lease time.Duration, who, field string) (*nats.Conn, error) {
	for {
		nc, err := nats.Connect(c.URL, append(ConnOptions(lease),
			nats.Name("sessionwheel "+who),
			// By default the client writes to the standard error.
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
				c.Logger.Debug("the connection to the broker", "of", who, "error", err)
			}))...)
		if err == nil {
			return nc, nil
		}
		if !errors.Is(err, nats.ErrNoServers) && !errors.Is(err, nats.ErrTimeout) {
			return nil, fmt.Errorf("cluster: %s: %w", field, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w from the broker at %s: %w", ErrUnavailable, field, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
