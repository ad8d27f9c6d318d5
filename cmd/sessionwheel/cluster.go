package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// ownBroker is the --cluster of a node that brings the broker along.
const ownBroker = "embedded"

// The leases that the package cluster takes.
const (
	leastLease           = 6 * time.Second
	leastReplicatedLease = 20 * time.Second
	longestLease         = time.Hour
)

// clusterAccess is the flags that say which cluster, and how to reach it.
type clusterAccess struct {
	Cluster   string        `placeholder:"URL" help:"The cluster's brokers: nats://HOST:PORT or tls://HOST:PORT, several separated by commas."`
	Namespace string        `name:"cluster-namespace" default:"sessions" placeholder:"NAME" help:"Which cluster, where several share the brokers."`
	Token     string        `name:"cluster-token" env:"SESSIONWHEEL_CLUSTER_TOKEN" placeholder:"TOKEN" help:"What the brokers want to be told. Other users of the machine see a command line, so rather set the variable."`
	Creds     string        `name:"cluster-creds" type:"existingfile" placeholder:"FILE" help:"Credentials for the brokers: the file that their operator hands out."`
	CA        string        `name:"cluster-ca" type:"existingfile" placeholder:"FILE" help:"Certificates in PEM that the brokers' are to be signed by, in place of the system's."`
	Timeout   time.Duration `name:"cluster-timeout" default:"10s" help:"How long to try to reach the brokers at the start."`
}

// check says what is wrong with the flags.
func (c *clusterAccess) check() error {
	switch {
	case c.Cluster != ownBroker && !isBrokerURL(c.Cluster):
		return fmt.Errorf("--cluster must be nats://HOST:PORT or tls://HOST:PORT, or several separated by commas, not %q", withoutUser(c.Cluster))
	case !isClusterName(c.Namespace):
		return fmt.Errorf("--cluster-namespace must be 1 to 64 of A-Z, a-z, 0-9, '-' and '_', not %q", c.Namespace)
	case c.Token != "" && c.Creds != "":
		return errors.New("--cluster-token and --cluster-creds do not go together: give one, and see that SESSIONWHEEL_CLUSTER_TOKEN is not set")
	case c.Timeout <= 0:
		return errors.New("--cluster-timeout must be more than 0")
	}
	return nil
}

func isBrokerURL(list string) bool {
	for one := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(one)
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || u.Path != "" {
			return false
		}
	}
	return true
}

// isClusterName reports whether the package cluster takes s for the name of a node
// or a namespace.
func isClusterName(s string) bool {
	other := func(r rune) bool {
		return (r < 'A' || 'Z' < r) && (r < 'a' || 'z' < r) && (r < '0' || '9' < r) && r != '-' && r != '_'
	}
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, other)
}

// withoutUser is brokers' addresses as they may be shown: without what gives
// access.
func withoutUser(list string) string {
	all := strings.Split(list, ",")
	for i, one := range all {
		if at := strings.LastIndexByte(one, '@'); at >= 0 {
			scheme, _, ok := strings.Cut(one, "://")
			if all[i] = one[at+1:]; ok {
				all[i] = scheme + "://" + one[at+1:]
			}
		}
	}
	return strings.Join(all, ",")
}

// dial connects to the brokers. It tries until --cluster-timeout is over, unless
// they answer with a refusal.
func (c *clusterAccess) dial(ctx context.Context, name string, lease time.Duration, log *slog.Logger) (*nats.Conn, error) {
	opts := append(cluster.ConnOptions(lease), nats.Name("sessionwheel "+name),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // else it was closed here
				log.Warn("broker lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info("broker reached again", "url", nc.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Debug("broker", "error", err) }),
	)
	if c.Token != "" {
		opts = append(opts, nats.Token(c.Token))
	}
	if c.Creds != "" {
		opts = append(opts, nats.UserCredentials(c.Creds))
	}
	if c.CA != "" {
		opts = append(opts, nats.RootCAs(c.CA))
	}
	limit, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	for {
		nc, err := nats.Connect(c.Cluster, opts...)
		if err == nil {
			return nc, nil
		}
		if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) {
			return nil, fmt.Errorf("the broker at --cluster %s refuses access: give the right --cluster-token or --cluster-creds", withoutUser(c.Cluster))
		}
		var network net.Error
		if !errors.Is(err, nats.ErrNoServers) && !errors.Is(err, nats.ErrTimeout) && !errors.As(err, &network) {
			return nil, fmt.Errorf("--cluster %s: %w", withoutUser(c.Cluster), err)
		}
		if !pause(limit, 100*time.Millisecond) {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("no broker at --cluster %s within --cluster-timeout %v (%w): start one, such as with \"sessionwheel serve --cluster embedded --cluster-listen ADDR\"",
				withoutUser(c.Cluster), c.Timeout, err)
		}
	}
}

// kept tells on how many brokers the cluster keeps its directory, and where: 0 if
// there is no such cluster. It tries until ctx ends, as brokers that have just
// started do not know yet.
func (c *clusterAccess) kept(ctx context.Context, nc *nats.Conn) (replicas int, storage cluster.Storage, err error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return 0, 0, err
	}
	for {
		s, err := js.Stream(ctx, "KV_"+c.Namespace+"_nodes")
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return 0, 0, nil
		case err != nil && pause(ctx, 200*time.Millisecond):
			continue
		case err != nil:
			return 0, 0, fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)
		}
		have := s.CachedInfo().Config
		if have.Storage == jetstream.MemoryStorage {
			storage = cluster.Memory
		}
		return have.Replicas, storage, nil
	}
}

// flagsOf turns the fields that an error of the packages cluster and embedded names
// into flags.
var flagsOf = strings.NewReplacer("cluster: ", "", "Config.Replicas", "--replicas", "Config.Namespace", "--cluster-namespace",
	"Config.LeaseTTL", "--lease", "Config.Name", "--node", "Config.Storage", "the storage",
	"embedded: ", "", "Config.Addr", "--cluster-listen", "Config.Dir", "--cluster-dir", "Config.Token", "--cluster-token")

// joinError says why a node could not join.
func (c *clusterAccess) joinError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, cluster.ErrUnavailable):
		return fmt.Errorf("the broker at --cluster %s has not kept a directory within --cluster-timeout %v: see that JetStream is on, and that there are as many brokers as --replicas says (%w)",
			withoutUser(c.Cluster), c.Timeout, err)
	default:
		return errors.New("--cluster: " + flagsOf.Replace(err.Error()))
	}
}

// nodeConfig is the flags of serve that make it a node of a cluster.
type nodeConfig struct {
	clusterAccess `embed:""`

	Node     string        `placeholder:"NAME" help:"This node's name in the cluster, as no other has it."`
	Lease    time.Duration `default:"0s" help:"How long this node counts as alive when nothing is heard of it, in whole seconds. 0 means the least: 6s, or 20s with several --replicas."`
	Replicas int           `default:"1" help:"On how many brokers the cluster's directory is kept: 1, 3 or 5, the same for all nodes."`
	Listen   string        `name:"cluster-listen" placeholder:"ADDR" help:"With --cluster embedded: where other nodes find this one's broker, host:port; port 0 takes a free one."`
	Dir      string        `name:"cluster-dir" type:"path" placeholder:"DIR" help:"With --cluster embedded: where the broker keeps the directory. Without it a temporary place, which is removed."`
}

// check says what is wrong with the flags.
func (c *nodeConfig) check() error {
	if c.Cluster == "" {
		for flag, given := range map[string]bool{
			"--node": c.Node != "", "--lease": c.Lease != 0, "--replicas": c.Replicas != 1,
			"--cluster-listen": c.Listen != "", "--cluster-dir": c.Dir != "",
			"--cluster-creds": c.Creds != "", "--cluster-ca": c.CA != "",
		} {
			if given {
				return fmt.Errorf("%s needs --cluster", flag)
			}
		}
		return nil
	}
	if err := c.clusterAccess.check(); err != nil {
		return err
	}
	least := c.least()
	switch {
	case c.Node == "":
		return errors.New("--cluster needs --node NAME, this node's name in the cluster")
	case !isClusterName(c.Node):
		return fmt.Errorf("--node must be 1 to 64 of A-Z, a-z, 0-9, '-' and '_', not %q", c.Node)
	case c.Replicas != 1 && c.Replicas != 3 && c.Replicas != 5:
		return fmt.Errorf("--replicas must be 1, 3 or 5, not %d", c.Replicas)
	case c.Lease != 0 && (c.Lease < least || c.Lease > longestLease):
		return fmt.Errorf("--lease must be from %v, with --replicas %d, to %v, or 0 for the least, not %v", least, c.Replicas, longestLease, c.Lease)
	case c.Lease%time.Second != 0:
		return fmt.Errorf("--lease must be whole seconds, not %v", c.Lease)
	}
	return c.checkBroker()
}

// checkBroker says what is wrong with the flags of a broker of the node's own.
func (c *nodeConfig) checkBroker() error {
	if c.Cluster != ownBroker {
		switch {
		case c.Listen != "":
			return errors.New("--cluster-listen needs --cluster embedded: other brokers listen by themselves")
		case c.Dir != "":
			return errors.New("--cluster-dir needs --cluster embedded: other brokers have a place of their own")
		}
		return nil
	}
	switch {
	case c.Replicas != 1:
		return fmt.Errorf("--replicas must be 1 with --cluster embedded, which is one broker, not %d", c.Replicas)
	case c.Creds != "" || c.CA != "":
		return errors.New("--cluster-creds and --cluster-ca are for brokers elsewhere: with --cluster embedded give --cluster-token")
	case c.Listen == "":
		return nil
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || port == "" {
		return fmt.Errorf("--cluster-listen must be host:port, such as 127.0.0.1:4222, not %q", c.Listen)
	}
	ip, err := netip.ParseAddr(host)
	if loopback := err == nil && ip.IsLoopback() || host == "localhost"; !loopback && c.Token == "" {
		return fmt.Errorf("--cluster-listen %s can be reached from other machines: set SESSIONWHEEL_CLUSTER_TOKEN, or listen on 127.0.0.1", c.Listen)
	}
	return nil
}

// least is the shortest lease there can be.
func (c *nodeConfig) least() time.Duration {
	if c.Replicas > 1 {
		return leastReplicatedLease
	}
	return leastLease
}

// lease is the lease that the flags mean.
func (c *nodeConfig) lease() time.Duration {
	if c.Lease == 0 {
		return c.least()
	}
	return c.Lease
}
