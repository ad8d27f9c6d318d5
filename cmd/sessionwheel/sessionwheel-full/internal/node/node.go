// Package node makes a server of serve a node of a cluster.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cluster/embedded"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/sessionwheel-full/internal/access"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// Member is serve's node in a cluster.
type Member struct {
	node   *cluster.Node
	conn   *nats.Conn
	broker *embedded.Broker // nil: it runs elsewhere
	allows bool             // logins while it is isolated
	silent time.Duration    // after which another node is silent, for the page
}

// leastLimit is the minimum time that a login may take. A login under a name that a
// dead node had takes up to one and a half leases of that node, which this one does
// not know: 30 s for the minimum lease of brokers that replicate.
const leastLimit = 40 * time.Second

// Join makes srv, which does not serve yet, a node of the cluster that the flags
// name. Logins that wait for another node are given up when ctx ends. The caller ends
// it with Leave.
func Join(ctx context.Context, cfg flags.Node, srv *tcp.Server, proto echo.Protocol, log *slog.Logger) (*Member, error) {
	m := &Member{allows: cfg.DegradedLogin == "allow", silent: silentAfter(cfg)}
	err := m.join(ctx, cfg, &local{server: srv, proto: proto}, log)
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	srv.Directory = m.node
	(&reception{ctx: ctx, limit: max(2*cfg.Lease, leastLimit), proto: proto, log: log}).open(srv)
	return m, nil
}

// silentAfter returns how long after its last sign of life a node counts as silent: half a
// lease, since a node gives a sign every third of one. It assumes that the other nodes have
// the same lease as this one.
func silentAfter(cfg flags.Node) time.Duration {
	switch {
	case cfg.Lease != 0:
		return cfg.Lease / 2
	case cfg.Replicas > 1:
		return 10 * time.Second
	}
	return 3 * time.Second
}

func (m *Member) join(ctx context.Context, cfg flags.Node, sessions cluster.Local, log *slog.Logger) (err error) {
	if cfg.Cluster == flags.OwnBroker {
		err = m.startBroker(cfg, log)
	} else {
		m.conn, err = access.Dial(ctx, cfg.Access, "node "+cfg.Node, cfg.Lease, log)
	}
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	c := config(cfg)
	c.Conn, c.Local, c.Logger = m.conn, sessions, log
	m.node, err = cluster.Join(limit, c)
	if err != nil {
		return access.JoinError(ctx, cfg.Access, err)
	}
	m.warnOfNamesakes(cfg.Node, log)
	return nil
}

// warnOfNamesakes warns if a node of the same name has not been declared dead. It
// may be this one before a crash, so that refusing to start would be wrong.
func (m *Member) warnOfNamesakes(name string, log *slog.Logger) {
	for _, n := range m.node.Nodes() {
		if n.Name == name && !n.This {
			log.Warn("the cluster has another node of this name: give each node a name of its own; if it is this node before a restart, it ends with its lease",
				"node", name, "incarnation", n.Epoch, "sessions", n.Sessions, "seen", time.Since(n.Seen).Round(time.Millisecond))
		}
	}
}

// startBroker starts the broker within this process, and connects to it.
func (m *Member) startBroker(cfg flags.Node, log *slog.Logger) (err error) {
	token, err := cfg.Token()
	if err != nil {
		return err
	}
	m.broker, err = embedded.Start(embedded.Config{Dir: cfg.Dir, Addr: cfg.Listen, Token: token})
	if err != nil {
		return errors.New("--cluster embedded: " + access.Flags.Replace(err.Error()))
	}
	if m.conn, err = m.broker.Connect(cluster.ConnOptions(cfg.Lease)...); err != nil {
		return fmt.Errorf("--cluster embedded: %w", err)
	}
	log.Info("broker", "url", m.broker.URL(), "dir", cfg.Dir)
	return nil
}

// Isolated reports whether the node has lost its lease, and whether it takes logins.
func (m *Member) Isolated() (isolated, takes bool) {
	if m.node.State() != cluster.Isolated {
		return false, true
	}
	return true, m.allows
}

// Leave takes the node out of the cluster, within the limit, and then closes its
// connection and its broker. The server must have shut down.
func (m *Member) Leave(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := m.node.Leave(ctx)
	if err != nil {
		err = fmt.Errorf("the node did not leave the cluster, which declares it dead after its lease: %w", err)
	}
	return errors.Join(err, m.close())
}

// close closes the connection and the broker.
func (m *Member) close() error {
	if m.conn != nil {
		m.conn.Close()
	}
	if m.broker != nil {
		return m.broker.Close()
	}
	return nil
}

// Check says what is wrong with the flags, beyond what they check themselves.
func Check(cfg flags.Node) error {
	if cfg.Cluster == "" {
		return nil
	}
	if err := config(cfg).Check(); err != nil {
		return errors.New(access.Flags.Replace(err.Error()))
	}
	return nil
}

// config is the flags as package cluster takes them.
func config(cfg flags.Node) cluster.Config {
	c := cluster.Config{Name: cfg.Node, Namespace: cfg.Namespace, Replicas: cfg.Replicas, Streams: cfg.Streams, LeaseTTL: cfg.Lease}
	if cfg.Storage == "memory" {
		c.Storage = cluster.Memory
	}
	if cfg.OnLeaseLost == "fence" {
		c.OnLeaseLost = cluster.Fence
	}
	if cfg.DegradedLogin == "allow" {
		c.DegradedLogin = cluster.AllowLogin
	}
	return c
}
