package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// The minimum and maximum leases. When the leader of a replicated stream is killed, the
// brokers take four to eight seconds to elect another, which cannot be configured. A
// shorter lease would expire during each election.
const (
	minLease           = 6 * time.Second
	minReplicatedLease = 20 * time.Second
	maxLease           = time.Hour
)

// The room that brokers reserve, in bytes.
const (
	defaultMaxBytes = 512 << 20 // for the directory
	maxNodesBytes   = 16 << 20  // for the nodes' records, which take some 200 bytes each
)

// Storage says where the brokers store the directory.
type Storage uint8

const (
	// File stores the directory in files; it survives a restart of the brokers.
	File Storage = iota
	// Memory stores the directory in memory. After a restart of the brokers the nodes
	// write it again. With several brokers it needs several replicas.
	Memory
)

// Policy says what happens to a node's sessions when it loses its lease.
type Policy uint8

const (
	// KeepServing leaves them open. If another node has taken an ID by the time this
	// node has a lease again, its session is closed with pool.Replaced.
	KeepServing Policy = iota
	// Fence closes all of them with LeaseLost, 256 at a time. No other node can take
	// over an ID before its session is closed, if all closes return within a sixth of
	// the lease. A node that was declared dead joins again when all have returned.
	Fence
)

// Degraded says what happens to logins while a node has no lease.
type Degraded uint8

const (
	// RefuseLogin makes Claim fail with ErrIsolated.
	RefuseLogin Degraded = iota
	// AllowLogin makes Claim succeed without asking the broker. When the node has a
	// lease again, the session with the highest token keeps its ID, and the others
	// are closed with pool.Replaced.
	AllowLogin
)

// Config configures a node. Name, Local and either Conn or URL are required.
type Config struct {
	// Name is the name of the node in Entry and NodeInfo: 1 to 64 of A-Z, a-z, 0-9,
	// '-' and '_'. Nodes should have different names, but nothing depends on it.
	Name string

	// Namespace separates clusters that share brokers: up to 64 of the same
	// characters. "" means "sessions".
	Namespace string

	// Conn is a connection to the broker, made with ConnOptions. The node does not
	// close it. No other node may use it. The node makes a second connection with the same
	// options, for its heartbeats, and closes that.
	Conn *nats.Conn

	// URL holds the addresses of the brokers for nats.Connect, separated by commas. The
	// node makes the connection and closes it in Leave.
	URL string

	// Replicas is the number of brokers that store the directory: 1, 3 or 5. There must
	// be at least as many brokers. 0 means 1. All nodes must use the same value.
	Replicas int

	// Storage says where the brokers store the directory. The zero value is File. All
	// nodes must use the same value.
	Storage Storage

	// MaxBytes bounds the directory at each broker that stores it. If it lies in several
	// Streams, each has its share, which it may reach a little before the others. A session
	// takes about 300 bytes, its ID and four thirds of its metadata. Logins beyond it fail
	// with ErrFull, and nothing else does: the nodes' records have room of their own. The
	// brokers reserve as much, so their own limits must be higher. 0 means 512 MiB, and
	// negative means no limit but the brokers'. All nodes must use the same value.
	MaxBytes int64

	// Streams is the number of streams that the directory lies in, by a hash of the ID, so
	// that several brokers share its work. 0 means 1, and 64 is the maximum. All nodes must
	// use the same value, and to change it, use another Namespace.
	Streams int

	// LeaseTTL is how long a node counts as alive without a heartbeat. It must be a
	// whole number of seconds, at least 6 s with one replica and 20 s with more, and at
	// most an hour. 0 means the minimum; negative is an error. Nodes may use different
	// values.
	LeaseTTL time.Duration

	// OnLeaseLost says what happens to the node's sessions when it cannot renew its
	// lease in time. The zero value is KeepServing.
	OnLeaseLost Policy

	// DegradedLogin says what happens to logins while the node has no lease. The zero
	// value is RefuseLogin. AllowLogin cannot be combined with Fence.
	DegradedLogin Degraded

	// Local gives access to the node's own sessions. Use a *LocalPool for a pool.
	Local Local

	// OnTell is called for each message that another node sends with Node.Tell, on a goroutine
	// of the node, possibly before Join has returned. n is this node, and from is the name of
	// the sender. Messages to this node alone are handled one after the other, and so are those
	// to all nodes, but one of each may be handled at the same time. Up to 65,536 messages or
	// 64 MiB of either kind wait; further ones are dropped. OnTell may keep msg. It must not
	// call Leave, which waits for it. If nil, messages are dropped.
	OnTell func(n *Node, from string, msg []byte)

	// Logger receives what happens in the background: leases that are lost and
	// regained, nodes that are declared dead, and operations that failed and are
	// repeated. If nil, nothing is logged.
	Logger *slog.Logger
}

// Check returns an error that names the first invalid field, as Join does. It does not
// check Conn, URL and Local, so it can be called before they are set.
func (c Config) Check() error {
	c = c.filled()
	least, brokers := minLease, "one broker"
	if c.Replicas > 1 {
		least, brokers = minReplicatedLease, "several brokers, which take up to 8s to elect a leader"
	}
	switch {
	case !isName(c.Name):
		return fmt.Errorf("cluster: Config.Name is %.80q: use 1 to 64 of A-Z, a-z, 0-9, '-' and '_'", c.Name)
	case !isName(c.Namespace):
		return fmt.Errorf("cluster: Config.Namespace is %.80q: use up to 64 of A-Z, a-z, 0-9, '-' and '_', or \"\" for \"sessions\"", c.Namespace)
	case c.Replicas != 1 && c.Replicas != 3 && c.Replicas != 5:
		return fmt.Errorf("cluster: Config.Replicas is %d: use 1, 3 or 5, or 0 for 1", c.Replicas)
	case c.Streams < 1 || c.Streams > maxStreams:
		return fmt.Errorf("cluster: Config.Streams is %d: use 1 to %d, or 0 for 1", c.Streams, maxStreams)
	case c.Storage > Memory:
		return fmt.Errorf("cluster: Config.Storage is %d: use cluster.File or cluster.Memory", c.Storage)
	case c.LeaseTTL < least:
		return fmt.Errorf("cluster: Config.LeaseTTL is %v: use at least %v with %s, or 0 for that", c.LeaseTTL, least, brokers)
	case c.LeaseTTL > maxLease:
		return fmt.Errorf("cluster: Config.LeaseTTL is %v: use at most %v", c.LeaseTTL, maxLease)
	case c.LeaseTTL%time.Second != 0: // the broker rounds a time to live down: 2.9 s expire after 2.0 s
		return fmt.Errorf("cluster: Config.LeaseTTL is %v: use whole seconds", c.LeaseTTL)
	case c.OnLeaseLost > Fence:
		return fmt.Errorf("cluster: Config.OnLeaseLost is %d: use cluster.KeepServing or cluster.Fence", c.OnLeaseLost)
	case c.DegradedLogin > AllowLogin:
		return fmt.Errorf("cluster: Config.DegradedLogin is %d: use cluster.RefuseLogin or cluster.AllowLogin", c.DegradedLogin)
	case c.DegradedLogin == AllowLogin && c.OnLeaseLost == Fence:
		return errors.New("cluster: Config.DegradedLogin is AllowLogin, which contradicts Fence in Config.OnLeaseLost: use RefuseLogin or KeepServing")
	}
	return nil
}

// filled returns c with defaults for zero fields.
func (c Config) filled() Config {
	if c.Namespace == "" {
		c.Namespace = "sessions"
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.Streams == 0 {
		c.Streams = 1
	}
	switch {
	case c.MaxBytes == 0:
		c.MaxBytes = defaultMaxBytes
	case c.MaxBytes < 0:
		c.MaxBytes = -1 // as the broker says it
	}
	if c.LeaseTTL == 0 {
		c.LeaseTTL = minLease
		if c.Replicas > 1 {
			c.LeaseTTL = minReplicatedLease
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// withDefaults returns c with defaults for zero fields. The error names the first invalid
// field.
func (c Config) withDefaults() (Config, error) {
	if err := c.Check(); err != nil {
		return c, err
	}
	c = c.filled()
	switch {
	case c.Local == nil:
		return c, errors.New("cluster: Config.Local is nil: use a *LocalPool")
	case c.Conn == nil && c.URL == "":
		return c, errors.New("cluster: neither Config.Conn nor Config.URL is set: use one of them")
	case c.Conn != nil && c.URL != "":
		return c, errors.New("cluster: both Config.Conn and Config.URL are set: use one of them")
	}
	return c, checkConn("Config.Conn", c.Conn, c.LeaseTTL)
}

// The times that follow from the lease.

// beat returns the time between heartbeats.
func (c *Config) beat() time.Duration { return c.LeaseTTL / 3 }

// validity returns how long a node relies on its lease, from when it sent the heartbeat.
// Other nodes wait for the whole lease, from when they received it. The difference is left
// for fencing and for clocks that run slightly faster.
func (c *Config) validity() time.Duration { return c.LeaseTTL * 5 / 6 }

// gap returns the maximum time since a node's own last renewal during which it may declare
// others dead.
func (c *Config) gap() time.Duration { return c.LeaseTTL * 2 / 3 }

// attempt returns the timeout of one request to the broker or to another node. Without it,
// a write to a broker that has just gone would block for 25 s.
func (c *Config) attempt() time.Duration { return min(time.Second, c.LeaseTTL/6) }
