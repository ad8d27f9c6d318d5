package flags

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

// OwnBroker is the --cluster of a node that brings its broker along.
const OwnBroker = "embedded"

const (
	clusterEnv      = "SESSIONWHEEL_CLUSTER"
	clusterTokenEnv = "SESSIONWHEEL_CLUSTER_TOKEN"
)

// Access is the flags that say which cluster to reach, and how.
type Access struct {
	Cluster   string        `env:"SESSIONWHEEL_CLUSTER" placeholder:"URL" help:"The cluster's brokers: nats://HOST:PORT or tls://HOST:PORT, several separated by commas. A URL with a user or a password, such as tls://USER:PASSWORD@HOST:PORT, must be set in the variable, because other users of the machine can see a command line."`
	Namespace string        `name:"cluster-namespace" default:"sessions" placeholder:"NAME" help:"Which cluster to use, if several share the brokers."`
	TokenFile string        `name:"cluster-token-file" type:"existingfile" placeholder:"FILE" help:"File with the token for the brokers. The variable SESSIONWHEEL_CLUSTER_TOKEN may have the token instead. No flag takes a secret itself."`
	Creds     string        `name:"cluster-creds" type:"existingfile" placeholder:"FILE" help:"File with credentials for the brokers, from their operator."`
	CA        string        `name:"cluster-ca" type:"existingfile" placeholder:"FILE" help:"File with certificates in PEM. The brokers' certificates must be signed by one of them, instead of one of the system's."`
	Timeout   time.Duration `name:"cluster-timeout" default:"10s" help:"How long to try to reach the brokers at the start."`
}

// check says what is wrong with the flags.
func (c *Access) check() error {
	token, err := c.Token()
	switch {
	case err != nil:
		return err
	case c.Cluster != OwnBroker && !isBrokerURL(c.Cluster):
		return fmt.Errorf("--cluster must be nats://HOST:PORT or tls://HOST:PORT, or several separated by commas, not %q", WithoutUser(c.Cluster))
	case WithoutUser(c.Cluster) != c.Cluster && os.Getenv(clusterEnv) != c.Cluster:
		return errors.New("--cluster has a user or a password, and other users of the machine see a command line: set " + clusterEnv + " instead")
	case token != "" && c.Creds != "":
		return errors.New("--cluster-token-file, which " + clusterTokenEnv + " stands for too, and --cluster-creds do not go together: give one")
	case c.Timeout <= 0:
		return errors.New("--cluster-timeout must be more than 0")
	}
	return nil
}

// Token returns the token for the brokers, or "" if none is given.
func (c *Access) Token() (string, error) {
	return readSecret(clusterTokenEnv, "--cluster-token-file", c.TokenFile)
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

// WithoutUser returns brokers' addresses in the form in which they may be shown:
// without users and passwords.
func WithoutUser(list string) string {
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

// Node is the flags of serve that make it a node of a cluster.
type Node struct {
	Access `embed:""`

	Node          string        `placeholder:"NAME" help:"This node's name, which no other node of the cluster may have."`
	Lease         time.Duration `default:"0s" help:"How long this node counts as alive after its last sign of life, in whole seconds. 0 means the minimum: 6s, or 20s with several --replicas."`
	OnLeaseLost   string        `default:"keep" enum:"keep,fence" help:"What happens to sessions that have logged in when this node loses its lease. keep: they go on, and end when the lease is back if another node has accepted their names. fence: they are closed with \"LeaseLost\" before another node can accept their names."`
	DegradedLogin string        `default:"refuse" enum:"refuse,allow" help:"What happens to logins while this node has no lease. refuse: they fail. allow: they succeed without asking the cluster, and when the lease is back the latest login under a name stays. allow does not go with --on-lease-lost fence."`
	Replicas      int           `default:"1" enum:"1,3,5" help:"Number of brokers that keep the cluster's directory: 1, 3 or 5. It must be the same for all nodes."`
	Streams       int           `default:"1" help:"Number of streams over which the cluster's directory is spread, 1 to 64, so that several brokers share its work. It must be the same for all nodes."`
	Storage       string        `name:"cluster-storage" default:"file" enum:"file,memory" help:"Where the brokers keep the directory: file, or memory, which is lost with the brokers and then restored by the nodes. It must be the same for all nodes."`
	Listen        string        `name:"cluster-listen" placeholder:"ADDR" want:"host:port" help:"With --cluster embedded: address at which other nodes reach this node's broker, host:port; port 0 takes a free one."`
	Dir           string        `name:"cluster-dir" type:"path" placeholder:"DIR" help:"With --cluster embedded: folder for the broker's data. Without it, a temporary folder, removed at the end."`
}

// Check says what is wrong with the flags. Names, and how long a lease may be, are
// left to the program that has the cluster.
func (c *Node) Check() error {
	if c.Cluster == "" {
		for flag, given := range map[string]bool{
			"--node": c.Node != "", "--lease": c.Lease != 0, "--replicas": c.Replicas != 1, "--streams": c.Streams != 1,
			"--on-lease-lost": c.OnLeaseLost != "keep", "--degraded-login": c.DegradedLogin != "refuse",
			"--cluster-storage": c.Storage != "file", "--cluster-listen": c.Listen != "", "--cluster-dir": c.Dir != "",
			"--cluster-creds": c.Creds != "", "--cluster-ca": c.CA != "", "--cluster-token-file": c.TokenFile != "",
		} {
			if given {
				return fmt.Errorf("%s needs --cluster", flag)
			}
		}
		return nil
	}
	if err := c.check(); err != nil {
		return err
	}
	switch {
	case c.Node == "":
		return errors.New("--cluster, which SESSIONWHEEL_CLUSTER sets too, needs --node NAME, this node's name in the cluster")
	case c.OnLeaseLost == "fence" && c.DegradedLogin == "allow":
		return errors.New("--degraded-login allow and --on-lease-lost fence contradict each other: give one of them")
	case c.Cluster != OwnBroker && c.Listen != "":
		return errors.New("--cluster-listen needs --cluster embedded: other brokers have a configuration of their own")
	case c.Cluster != OwnBroker && c.Dir != "":
		return errors.New("--cluster-dir needs --cluster embedded: other brokers have a configuration of their own")
	case c.Storage == "memory" && c.Dir != "":
		return errors.New("--cluster-dir is for --cluster-storage file: memory needs no folder")
	case c.Cluster == OwnBroker && c.Replicas != 1:
		return fmt.Errorf("--replicas must be 1 with --cluster embedded, which is one broker, not %d", c.Replicas)
	case c.Cluster == OwnBroker && (c.Creds != "" || c.CA != ""):
		return errors.New("--cluster-creds and --cluster-ca are for brokers elsewhere: with --cluster embedded use --cluster-token-file or " + clusterTokenEnv)
	}
	return nil
}

// Cluster is the commands for a running cluster.
type Cluster struct {
	Ls    ClusterLs    `cmd:"" help:"List the sessions, in no particular order: ID, node, time of the login, and the peer's address."`
	Nodes ClusterNodes `cmd:"" help:"List the nodes: name, sessions and incarnation."`
	Where ClusterWhere `cmd:"" help:"Show where a session is, as ls does. The exit status is 1 if there is no such session."`
	Kick  ClusterKick  `cmd:"" help:"Close a session on any node. The exit status is 1 if there is no such session."`
	Send  ClusterSend  `cmd:"" help:"Send a message to a session on any node. The exit status is 1 if there is no such session."`
	Watch ClusterWatch `cmd:"" help:"Print sessions as they come and go, until Ctrl-C."`
}

// Help is the text below the summary of cluster --help.
func (Cluster) Help() string {
	return "Each command reads the directory from the brokers of --cluster and talks to the nodes. It is not a node itself and writes nothing to the directory. " +
		"It prints one line for each item, with fields separated by tabs, aligned below a header on a terminal. Control characters are removed. " +
		"Secrets come from the environment or a file, never from a flag: SESSIONWHEEL_CLUSTER sets --cluster, and SESSIONWHEEL_CLUSTER_TOKEN has the brokers' token."
}

// ClusterClient is the flags of all of these commands.
type ClusterClient struct {
	Access `embed:""`

	JSON bool `name:"json" help:"Print one JSON object per line."`
}

// Validate checks the flags.
func (c *ClusterClient) Validate() error {
	switch c.Cluster {
	case "":
		return errors.New("--cluster is missing: say where the brokers are, such as --cluster nats://127.0.0.1:4222")
	case OwnBroker:
		return errors.New("--cluster embedded is for serve: say where its broker is, such as --cluster nats://127.0.0.1:4222")
	}
	return c.check()
}

// ClusterLs is the flags of cluster ls.
type ClusterLs struct {
	ClusterClient `embed:""`
}

// ClusterNodes is the flags of cluster nodes.
type ClusterNodes struct {
	ClusterClient `embed:""`
}

// Named is the flags of a command for one session.
type Named struct {
	ClusterClient `embed:""`

	Name string `arg:"" help:"The session's ID: the NAME of its login."`
}

// ClusterWhere is the flags of cluster where.
type ClusterWhere struct {
	Named `embed:""`
}

// ClusterKick is the flags of cluster kick.
type ClusterKick struct {
	Named `embed:""`

	Reason string `default:"Kicked" help:"Reason for the close, as the session's server sees it."`
}

// Validate checks the flags.
func (c *ClusterKick) Validate() error {
	if c.Reason == "" || len(c.Reason) > 64 || console.Clean(c.Reason) != c.Reason {
		return errors.New("--reason must be 1 to 64 bytes of printable text")
	}
	return c.Named.Validate()
}

// ClusterSend is the flags of cluster send.
type ClusterSend struct {
	Named `embed:""`

	Text string `arg:"" help:"The message. A server of lines replaces its line breaks with spaces."`
}

// ClusterWatch is the flags of cluster watch.
type ClusterWatch struct {
	ClusterClient `embed:""`
}
