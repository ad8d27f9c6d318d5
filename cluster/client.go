package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sessionwheel/sessionwheel/pool"
)

// ClientConfig configures a client. One of Conn and URL is required. How the
// directory is kept, and how long leases are, the client learns from what is stored.
type ClientConfig struct {
	// Namespace is that of the nodes' Config. "" means "sessions".
	Namespace string

	// Conn is a connection to the broker that was made with ConnOptions; the client
	// does not close it. It may serve other clients, and a node.
	Conn *nats.Conn

	// URL is the brokers' addresses, separated by commas, as nats.Connect takes
	// them. The client makes the connection, and closes it in Close.
	URL string

	// Logger is told what goes on in the background. Nil: silent.
	Logger *slog.Logger
}

// config is what the client and a node have in common.
func (c ClientConfig) config() (Config, error) {
	if c.Namespace == "" {
		c.Namespace = "sessions"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	common := Config{Namespace: c.Namespace, Conn: c.Conn, URL: c.URL, LeaseTTL: minLease, Logger: c.Logger}
	switch {
	case !isName(c.Namespace):
		return common, fmt.Errorf("cluster: ClientConfig.Namespace is %.80q: use up to 64 of A-Z, a-z, 0-9, '-' and '_', or \"\" for \"sessions\"", c.Namespace)
	case c.Conn == nil && c.URL == "":
		return common, errors.New("cluster: neither ClientConfig.Conn nor ClientConfig.URL is set: use one of them")
	case c.Conn != nil && c.URL != "":
		return common, errors.New("cluster: both ClientConfig.Conn and ClientConfig.URL are set: use one of them")
	}
	return common, checkConn("ClientConfig.Conn", c.Conn, 3*maxPing)
}

// Client reads the directory and reaches its sessions without being a node: it has
// no lease and no sessions, the nodes do not see it, and it writes nothing. It is
// made by [Open] and ended by [Client.Close]; all its methods may be called from any
// goroutine.
//
// A client declares nobody dead. The sessions of a node that died count until
// another node has said so, or, when no node is left, until one comes.
type Client struct{ r *reader }

// Open makes a client. It tries until ctx ends to reach the broker, and the error is
// then ErrUnavailable; it is ErrNoCluster if no node has ever joined the namespace.
// Any other names what is wrong.
func Open(ctx context.Context, c ClientConfig) (*Client, error) {
	common, err := c.config()
	if err != nil {
		return nil, err
	}
	nc := c.Conn
	if nc == nil {
		// Without a lease to lose it can wait for an answer behind a long list.
		if nc, err = dial(ctx, common, minReplicatedLease, "client", "ClientConfig.URL"); err != nil {
			return nil, err
		}
	}
	r, err := newReader(common, nc, ErrClosed)
	if err != nil {
		return nil, err
	}
	client := &Client{r}
	if err := client.open(ctx); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

func (c *Client) open(ctx context.Context) error {
	err := persist(ctx, func(ctx context.Context) error {
		err := c.r.open(ctx)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("%w: %q", ErrNoCluster, c.r.c.Namespace)
		}
		return err
	})
	if err != nil {
		return err
	}
	c.r.run(func() { c.r.viewLoop(lookAt(c.r.nodes)) })
	c.r.run(func() { c.r.connLoop(func() {}) })
	return c.r.whole(ctx)
}

// Close ends the client's goroutines and its connection, and waits for them. What
// Watch has given is closed. It is idempotent.
func (c *Client) Close() {
	c.r.mu.Lock()
	c.r.left = true
	c.r.mu.Unlock()
	c.r.cancel()
	c.r.wg.Wait()
	if c.r.ownConn {
		c.r.nc.Close()
	}
}

// Lookup finds a session, as [Node.Lookup] does. The error is ErrNotFound, also if
// its node was declared dead, ErrUnavailable or ErrClosed.
func (c *Client) Lookup(ctx context.Context, id string) (Entry, error) {
	s, err := c.find(ctx, id)
	if err != nil {
		return Entry{}, err
	}
	return s.export(id), nil
}

func (c *Client) find(ctx context.Context, id string) (standing, error) {
	return c.r.find(ctx, id, func(ctx context.Context, epoch string) (bool, error) {
		_, rec, err := c.r.recordOf(ctx, epoch)
		return rec.Dead, err
	})
}

// Kick closes a session for the given reason, on whichever node it is, and returns
// when it processes nothing more. The errors are those of [Node.Kick], and ErrClosed.
func (c *Client) Kick(ctx context.Context, id string, why pool.Reason) error {
	s, err := c.find(ctx, id)
	if err != nil {
		return err
	}
	return c.r.tell(ctx, s.Owner, opKick, kicking(id, s, why))
}

// Send hands a message to a session, on whichever node it is, and returns when
// Local.Deliver has returned there. Messages that are sent one after the other
// arrive in that order. The errors are those of [Node.Send], and ErrClosed.
func (c *Client) Send(ctx context.Context, id string, msg []byte) error {
	if err := c.r.checkMessage(msg); err != nil {
		return err
	}
	s, err := c.find(ctx, id)
	if err != nil {
		return err
	}
	return c.r.tell(ctx, s.Owner, opSend, sending(id, s, msg))
}

// Count is how many sessions the nodes of [Client.Nodes] have, and how many nodes
// that are. It is up to a third of a node's lease old, and asks nobody.
func (c *Client) Count() (sessions, nodes int) { return count(c.Nodes()) }

// Nodes are the nodes that have not been declared dead, by name.
func (c *Client) Nodes() []NodeInfo {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return c.r.nodesLocked()
}

// List calls f for each session of the cluster, as [Node.List] does, with the same
// errors but ErrClosed for ErrLeft.
func (c *Client) List(ctx context.Context, f func(Entry) bool) error { return c.r.list(ctx, f) }

// Watch tells of every change of the directory, as [Node.Watch] does. The channel is
// closed when ctx ends or the client is closed.
func (c *Client) Watch(ctx context.Context) (<-chan Event, error) { return c.r.changes(ctx) }
