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

// ClientConfig configures a client. Either Conn or URL is required. The client learns the
// nodes' settings, such as their leases, from what is stored.
type ClientConfig struct {
	// Namespace is the Namespace of the nodes' Config. "" means "sessions".
	Namespace string

	// Conn is a connection to the broker, made with ConnOptions. The client does not
	// close it. Other clients and one node may use it too.
	Conn *nats.Conn

	// URL holds the addresses of the brokers for nats.Connect, separated by commas. The
	// client makes the connection and closes it in Close.
	URL string

	// Logger receives what happens in the background. If nil, nothing is logged.
	Logger *slog.Logger
}

// common returns the fields that a client and a node have in common. The error names the
// first invalid field.
func (c ClientConfig) common() (Config, error) {
	if c.Namespace == "" {
		c.Namespace = "sessions"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	common := Config{Namespace: c.Namespace, Conn: c.Conn, URL: c.URL, LeaseTTL: minLease, Streams: 1, Logger: c.Logger}
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

// Client reads the directory and sends requests to sessions without being a node. It has
// no lease and no sessions, the nodes do not see it, and it writes nothing to the broker.
// Make one with [Open] and end it with [Client.Close]. All its methods may be called from
// any goroutine.
//
// A client declares no node dead. The sessions of a node that has died count until another
// node has declared it dead; if no node is left, until one joins.
type Client struct{ r *reader }

// Open returns a client. It retries until ctx ends if the broker does not answer; the
// error then wraps ErrUnavailable. The error wraps ErrNoCluster if no node has ever joined
// the namespace. Any other error says what is wrong, for example an invalid field.
func Open(ctx context.Context, c ClientConfig) (*Client, error) {
	common, err := c.common()
	if err != nil {
		return nil, err
	}
	nc := c.Conn
	if nc == nil {
		// A client has no lease, so a ping may wait behind a long list.
		if nc, err = dial(ctx, common, minReplicatedLease, "client", "ClientConfig.URL"); err != nil {
			return nil, err
		}
	}
	r, err := newReader(common, nc, nc, ErrClosed)
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

// open opens the buckets, starts the goroutines and waits for the view of the nodes.
func (c *Client) open(ctx context.Context) error {
	err := c.r.retry(ctx, func(ctx context.Context) error {
		err := c.r.open(ctx)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("%w: %q", ErrNoCluster, c.r.c.Namespace)
		}
		if err != nil {
			return err
		}
		return c.openOthers(ctx)
	})
	if err != nil {
		return err
	}
	c.r.goBackground(func() { c.r.viewLoop(checkRevision(c.r.nodes)) })
	c.r.goBackground(func() { c.r.connLoop(c.r.nc, func() {}) })
	return c.r.awaitView(ctx)
}

// openOthers opens the streams of the directory that follow the first, which says how many
// there are.
func (c *Client) openOthers(ctx context.Context) error {
	first := c.r.dir[0]
	n, err := first.streams(ctx)
	if err != nil || n == len(c.r.dir) {
		return err
	}
	c.r.c.Streams = n
	c.r.dir = newDirectory(first.js, &c.r.c)
	return c.r.dir.open(ctx)
}

// Close ends the client's goroutines and waits for them. It closes the channels that Watch
// returned, and the connection if the client made it. It is idempotent.
func (c *Client) Close() {
	c.r.mu.Lock()
	c.r.closing = true
	c.r.mu.Unlock()
	c.r.cancel()
	c.r.wg.Wait()
	if c.r.ownConn {
		c.r.nc.Close()
	}
}

// Lookup returns the entry of a session, as [Node.Lookup] does. The error is ErrNotFound if
// there is none or its node was declared dead, or ErrClosed, or wraps ErrUnavailable.
func (c *Client) Lookup(ctx context.Context, id string) (Entry, error) {
	s, err := c.findEntry(ctx, id)
	if err != nil {
		return Entry{}, err
	}
	return s.export(id), nil
}

func (c *Client) findEntry(ctx context.Context, id string) (dirEntry, error) {
	return c.r.findEntry(ctx, id, func(ctx context.Context, epoch string) (bool, error) {
		_, rec, err := c.r.readRecord(ctx, epoch)
		return rec.Dead, err
	})
}

// Kick closes a session for the given reason, on whichever node it is, and returns when
// the session processes nothing more and its entry is deleted. The errors are those of
// [Node.Kick], and ErrClosed.
func (c *Client) Kick(ctx context.Context, id string, why pool.Reason) error {
	s, err := c.findEntry(ctx, id)
	if err != nil {
		return err
	}
	return c.r.callOwner(ctx, s.Owner, opKick, kickRequest(id, s, why))
}

// Send delivers a message to a session, on whichever node it is, and returns when
// Local.Deliver has returned there. Messages that are sent one after the other are
// delivered in that order. The errors are those of [Node.Send], and ErrClosed.
func (c *Client) Send(ctx context.Context, id string, msg []byte) error {
	if err := c.r.checkMessage(msg); err != nil {
		return err
	}
	s, err := c.findEntry(ctx, id)
	if err != nil {
		return err
	}
	return c.r.callOwner(ctx, s.Owner, opSend, sendRequest(id, s, msg))
}

// Count returns the number of nodes that have not been declared dead, and the number of
// their sessions, which is up to a third of a node's lease old. It does not ask the broker.
func (c *Client) Count() (sessions, nodes int) { return count(c.Nodes()) }

// Nodes returns the nodes that have not been declared dead, sorted by name. It does not ask
// the broker.
func (c *Client) Nodes() []NodeInfo {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return c.r.nodesLocked()
}

// List calls f for each session of the cluster, as [Node.List] does, with the same errors
// except ErrClosed instead of ErrLeft.
func (c *Client) List(ctx context.Context, f func(Entry) bool) error { return c.r.list(ctx, f) }

// Watch returns a channel of all changes of the directory, as [Node.Watch] does, with
// ErrClosed instead of ErrLeft. The channel is closed when ctx ends or the client is
// closed.
func (c *Client) Watch(ctx context.Context) (<-chan Event, error) { return c.r.subscribe(ctx) }
