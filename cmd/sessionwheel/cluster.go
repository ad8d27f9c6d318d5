package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// ownBroker is the --cluster of a node that brings the broker along.
const ownBroker = "embedded"

// clusterAccess is the flags that say which cluster, and how to reach it.
type clusterAccess struct {
	Cluster   string        `env:"SESSIONWHEEL_CLUSTER" placeholder:"URL" help:"The cluster's brokers: nats://HOST:PORT or tls://HOST:PORT, several separated by commas. A user's password, as in tls://USER:PASSWORD@HOST:PORT, is better set in the variable, since other users of the machine see a command line."`
	Namespace string        `name:"cluster-namespace" default:"sessions" placeholder:"NAME" help:"Which cluster, where several share the brokers."`
	Token     string        `name:"cluster-token" env:"SESSIONWHEEL_CLUSTER_TOKEN" placeholder:"TOKEN" help:"What the brokers want to be told; better set in the variable."`
	Creds     string        `name:"cluster-creds" type:"existingfile" placeholder:"FILE" help:"Credentials for the brokers: the file that their operator hands out."`
	CA        string        `name:"cluster-ca" type:"existingfile" placeholder:"FILE" help:"Certificates in PEM that the brokers' are to be signed by, in place of the system's."`
	Timeout   time.Duration `name:"cluster-timeout" default:"10s" help:"How long to try to reach the brokers at the start."`
}

// check says what is wrong with the flags.
func (c *clusterAccess) check() error {
	switch {
	case c.Cluster != ownBroker && !isBrokerURL(c.Cluster):
		return fmt.Errorf("--cluster must be nats://HOST:PORT or tls://HOST:PORT, or several separated by commas, not %q", withoutUser(c.Cluster))
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
	access, err := c.access()
	if err != nil {
		return nil, err
	}
	opts := append(append(cluster.ConnOptions(lease), access...), nats.Name("sessionwheel "+name),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // else it was closed here
				log.Warn("broker lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info("broker reached again", "url", nc.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Debug("broker", "error", err) }),
	)
	limit, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	for {
		nc, err := nats.Connect(c.Cluster, opts...)
		if err == nil {
			return nc, nil
		}
		if no := c.refusal(err); no != nil {
			return nil, no
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

// access is the options that give access to the brokers. The error names the flag
// whose file is of no use.
func (c *clusterAccess) access() (opts []nats.Option, err error) {
	if c.Token != "" {
		opts = append(opts, nats.Token(c.Token))
	}
	if c.Creds != "" {
		text, err := os.ReadFile(c.Creds)
		if err == nil {
			_, err = nkeys.ParseDecoratedUserNKey(text)
		}
		if err != nil {
			return nil, fmt.Errorf("--cluster-creds %s has no user's credentials: %w", c.Creds, err)
		}
		opts = append(opts, nats.UserCredentials(c.Creds))
	}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil || !x509.NewCertPool().AppendCertsFromPEM(text) {
			return nil, errors.Join(fmt.Errorf("--cluster-ca %s has no certificate in PEM", c.CA), err)
		}
		opts = append(opts, nats.RootCAs(c.CA))
	}
	return opts, nil
}

// refusal is a failure to connect that another attempt will not mend, with the flag
// that will; nil for one that it may.
func (c *clusterAccess) refusal(err error) error {
	at := "the broker at --cluster " + withoutUser(c.Cluster)
	var untrusted *tls.CertificateVerificationError
	var network net.Error
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		given := "without --cluster-token, --cluster-creds and a user in --cluster"
		switch {
		case c.Creds != "":
			given = "with --cluster-creds " + c.Creds
		case c.Token != "":
			given = "with this --cluster-token"
		case withoutUser(c.Cluster) != c.Cluster:
			given = "with the user and password in --cluster"
		}
		return fmt.Errorf("%s refuses access %s: %w", at, given, err)
	case errors.As(err, &untrusted) && c.CA == "":
		return fmt.Errorf("%s is not trusted: give the --cluster-ca that has signed its certificate: %w", at, untrusted.Err)
	case errors.As(err, &untrusted):
		return fmt.Errorf("%s is not trusted by --cluster-ca %s: %w", at, c.CA, untrusted.Err)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("%s speaks no TLS: turn it on there, or give nats:// and no --cluster-ca", at)
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrTimeout), errors.As(err, &network):
		return nil
	default:
		return fmt.Errorf("%s: %w", at, err)
	}
}

// flagsOf turns the fields that an error of the packages cluster and embedded names
// into flags.
var flagsOf = strings.NewReplacer("cluster: ", "", "Config.Replicas", "--replicas", "Config.Namespace", "--cluster-namespace",
	"ClientConfig.Namespace", "--cluster-namespace", "Config.LeaseTTL", "--lease", "Config.Name", "--node", "Config.Storage", "--cluster-storage",
	"embedded: ", "", "Config.Addr", "--cluster-listen", "Config.Dir", "--cluster-dir", "Config.Token", "--cluster-token")

// joinError says why there is no way into the cluster.
func (c *clusterAccess) joinError(ctx context.Context, err error) error {
	at := "--cluster " + withoutUser(c.Cluster)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, cluster.ErrNoCluster):
		return fmt.Errorf("there is no cluster --cluster-namespace %s at %s: no node has ever joined it", c.Namespace, at)
	case errors.Is(err, cluster.ErrUnavailable):
		return fmt.Errorf("no way into %s within --cluster-timeout %v: %s", at, c.Timeout, flagsOf.Replace(err.Error()))
	default:
		return fmt.Errorf("%s: %s", at, flagsOf.Replace(err.Error()))
	}
}

// nodeConfig is the flags of serve that make it a node of a cluster.
type nodeConfig struct {
	clusterAccess `embed:""`

	Node          string        `placeholder:"NAME" help:"This node's name in the cluster, as no other has it."`
	Lease         time.Duration `default:"0s" help:"How long this node counts as alive when nothing is heard of it, in whole seconds. 0 means the least: 6s, or 20s with several --replicas."`
	OnLeaseLost   string        `default:"keep" enum:"keep,fence" help:"What becomes of sessions that have logged in once this node has lost its lease: keep, and they end when it is back if another node has let their names in meanwhile; or fence, and they are closed with \"LeaseLost\" before another node can."`
	DegradedLogin string        `default:"refuse" enum:"refuse,allow" help:"What becomes of logins while it has none: refuse; or allow, which asks nobody, and when the node is back the later login under a name stays. It does not go with --on-lease-lost fence."`
	Replicas      int           `default:"1" enum:"1,3,5" help:"On how many brokers the cluster's directory is kept: 1, 3 or 5, the same for all nodes."`
	Storage       string        `name:"cluster-storage" default:"file" enum:"file,memory" help:"Where they keep it, the same for all nodes: file; or memory, which is lost with the brokers, and the nodes make it anew."`
	Listen        string        `name:"cluster-listen" placeholder:"ADDR" help:"With --cluster embedded: where other nodes find this one's broker, host:port; port 0 takes a free one."`
	Dir           string        `name:"cluster-dir" type:"path" placeholder:"DIR" help:"With --cluster embedded: where the broker keeps the directory. Without it a temporary place, which is removed."`
}

// check says what is wrong with the flags.
func (c *nodeConfig) check() error {
	if c.Cluster == "" {
		for flag, given := range map[string]bool{
			"--node": c.Node != "", "--lease": c.Lease != 0, "--replicas": c.Replicas != 1,
			"--on-lease-lost": c.OnLeaseLost != "keep", "--degraded-login": c.DegradedLogin != "refuse",
			"--cluster-storage": c.Storage != "file", "--cluster-listen": c.Listen != "", "--cluster-dir": c.Dir != "",
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
	switch {
	case c.Node == "":
		return errors.New("--cluster, which SESSIONWHEEL_CLUSTER sets too, needs --node NAME, this node's name in the cluster")
	case c.OnLeaseLost == "fence" && c.DegradedLogin == "allow":
		return errors.New("--degraded-login allow lets in what --on-lease-lost fence shuts out: give one of them")
	case c.Cluster != ownBroker && c.Listen != "":
		return errors.New("--cluster-listen needs --cluster embedded: other brokers listen by themselves")
	case c.Cluster != ownBroker && c.Dir != "":
		return errors.New("--cluster-dir needs --cluster embedded: other brokers have a place of their own")
	case c.Storage == "memory" && c.Dir != "":
		return errors.New("--cluster-dir is for --cluster-storage file: memory needs no place")
	case c.Cluster == ownBroker && c.Replicas != 1:
		return fmt.Errorf("--replicas must be 1 with --cluster embedded, which is one broker, not %d", c.Replicas)
	case c.Cluster == ownBroker && (c.Creds != "" || c.CA != ""):
		return errors.New("--cluster-creds and --cluster-ca are for brokers elsewhere: with --cluster embedded give --cluster-token")
	}
	if err := c.config().Check(); err != nil {
		return errors.New(flagsOf.Replace(err.Error()))
	}
	return nil
}

// config is the flags as package cluster takes them.
func (c *nodeConfig) config() cluster.Config {
	n := cluster.Config{Name: c.Node, Namespace: c.Namespace, Replicas: c.Replicas, LeaseTTL: c.Lease}
	if c.Storage == "memory" {
		n.Storage = cluster.Memory
	}
	if c.OnLeaseLost == "fence" {
		n.OnLeaseLost = cluster.Fence
	}
	if c.DegradedLogin == "allow" {
		n.DegradedLogin = cluster.AllowLogin
	}
	return n
}
