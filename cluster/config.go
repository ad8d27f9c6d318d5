package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// What the lease is and may be. Killing the leader of replicated streams means an
// election of four to eight seconds, which cannot be set: a shorter lease would
// end in each.
const (
	minLease           = 6 * time.Second
	minReplicatedLease = 20 * time.Second
	maxLease           = time.Hour
)

// Storage says where the brokers keep the directory.
type Storage uint8

const (
	// File outlives a restart of the brokers.
	File Storage = iota
	// Memory does not: the directory is rebuilt from the pools then.
	Memory
)

// Policy says what becomes of a node's sessions when its lease is over.
type Policy uint8

const (
	// KeepServing leaves them open. If somebody else has taken an ID meanwhile, the
	// session is closed with pool.Replaced when the node is back.
	KeepServing Policy = iota
	// Fence closes them all with LeaseLost, 256 at a time, before any other node may
	// take over: if all closes return within a sixth of the lease. A node that was
	// declared dead is back when all have returned.
	Fence
)

// Degraded says what becomes of logins while a node has no lease.
type Degraded uint8

const (
	// RefuseLogin makes Claim fail with ErrIsolated.
	RefuseLogin Degraded = iota
	// AllowLogin lets the node alone decide. When it is back, the highest token
	// under an ID wins, and the other sessions are closed with pool.Replaced.
	AllowLogin
)

// Config configures a node. Name, Local and one of Conn and URL are required.
type Config struct {
	// Name is the node's, as Entry and NodeInfo tell it: up to 64 of A-Z, a-z, 0-9,
	// '-' and '_'. Nodes should have different names; nothing breaks if they have
	// not.
	Name string

	// Namespace sets apart clusters that share brokers: up to 64 of the same
	// characters. "" means "sessions".
	Namespace string

	// Conn is a connection to the broker that was made with ConnOptions; the node
	// does not close it. It must not be used for another node.
	Conn *nats.Conn

	// URL is the brokers' addresses, separated by commas, as nats.Connect takes
	// them. The node makes the connection, and closes it in Leave.
	URL string

	// Replicas is on how many brokers the directory is kept: 1, 3 or 5, and as many
	// brokers there must be. 0 means 1. All nodes must have the same.
	Replicas int

	// Storage is where. All nodes must have the same.
	Storage Storage

	// LeaseTTL is how long a node that is silent counts as alive: whole seconds, at
	// least 6 s with one replica and 20 s with more, and at most an hour. 0 means
	// the least. Nodes may have different ones.
	LeaseTTL time.Duration

	// OnLeaseLost says what becomes of the node's sessions when it cannot renew its
	// lease in time.
	OnLeaseLost Policy

	// DegradedLogin says what becomes of logins meanwhile. AllowLogin does not go
	// with Fence.
	DegradedLogin Degraded

	// Local is the node's own sessions: a *LocalPool, or another way to reach them.
	Local Local

	// Logger is told what goes on in the background: leases lost and regained,
	// nodes declared dead, what could not be done and is tried again. Nil: silent.
	Logger *slog.Logger
}

// Check says what is wrong with the fields, as Join does, before there is a Conn, a
// URL and a Local: it looks at all the others. The error names the first that is
// wrong.
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
	case c.Storage > Memory:
		return fmt.Errorf("cluster: Config.Storage is %d: use cluster.File or cluster.Memory", c.Storage)
	case c.LeaseTTL < least:
		return fmt.Errorf("cluster: Config.LeaseTTL is %v: use at least %v with %s, or 0 for that", c.LeaseTTL, least, brokers)
	case c.LeaseTTL > maxLease:
		return fmt.Errorf("cluster: Config.LeaseTTL is %v: use at most %v", c.LeaseTTL, maxLease)
	case c.LeaseTTL%time.Second != 0: // the broker cuts a time to live down to whole seconds: 2.9 s is over at 2.0 s
		return fmt.Errorf("cluster: Config.LeaseTTL is %v: use whole seconds", c.LeaseTTL)
	case c.OnLeaseLost > Fence:
		return fmt.Errorf("cluster: Config.OnLeaseLost is %d: use cluster.KeepServing or cluster.Fence", c.OnLeaseLost)
	case c.DegradedLogin > AllowLogin:
		return fmt.Errorf("cluster: Config.DegradedLogin is %d: use cluster.RefuseLogin or cluster.AllowLogin", c.DegradedLogin)
	case c.DegradedLogin == AllowLogin && c.OnLeaseLost == Fence:
		return errors.New("cluster: Config.DegradedLogin is AllowLogin, which lets in what Config.OnLeaseLost, Fence, shuts out: use RefuseLogin or KeepServing")
	}
	return nil
}

// filled is c with the defaults for what is zero.
func (c Config) filled() Config {
	if c.Namespace == "" {
		c.Namespace = "sessions"
	}
	if c.Replicas == 0 {
		c.Replicas = 1
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

// withDefaults fills in what is zero, and names the first field that is wrong.
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

// beat is how often a node renews its lease.
func (c *Config) beat() time.Duration { return c.LeaseTTL / 3 }

// validity is how long a node counts on its lease, from when it sent the
// heartbeat. Others wait for all of the lease, from when they saw it: what is
// between is for fencing, and for clocks that run a little faster.
func (c *Config) validity() time.Duration { return c.LeaseTTL * 5 / 6 }

// gap is how long a node may be without a renewal of its own and still judge
// others.
func (c *Config) gap() time.Duration { return c.LeaseTTL * 2 / 3 }

// attempt limits one question to the broker or to another node. Without it, a
// write to a broker that is just gone would hang for 25 s.
func (c *Config) attempt() time.Duration { return min(time.Second, c.LeaseTTL/6) }
