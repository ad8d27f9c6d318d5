package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cluster/embedded"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// member is serve's node in a cluster. Nil is none; its methods do nothing.
type member struct {
	node   *cluster.Node
	conn   *nats.Conn
	broker *embedded.Broker // nil: it runs elsewhere
	allows bool             // logins while it is isolated
}

// leastLimit is the least of what a login may take. Under the name of a node's that
// has died, it takes up to one and a half of that node's leases, of which this one
// knows nothing: 30 s for the least lease of brokers that replicate.
const leastLimit = 40 * time.Second

// joinCluster makes srv, which does not serve yet, a node of the cluster that the
// flags name, and returns nil if that is none. Logins that wait for another node
// are given up when ctx ends. It ends with leave.
func joinCluster(ctx context.Context, cfg nodeConfig, srv *tcp.Server, proto protocol, log *slog.Logger) (*member, error) {
	if cfg.Cluster == "" {
		return nil, nil
	}
	m := &member{allows: cfg.DegradedLogin == "allow"}
	err := m.join(ctx, cfg, &clusterLocal{server: srv, proto: proto}, log)
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	srv.Directory = m.node
	(&reception{ctx: ctx, limit: max(2*cfg.Lease, leastLimit), proto: proto, log: log}).open(srv)
	return m, nil
}

func (m *member) join(ctx context.Context, cfg nodeConfig, local cluster.Local, log *slog.Logger) (err error) {
	if cfg.Cluster == ownBroker {
		err = m.startBroker(cfg, log)
	} else {
		m.conn, err = cfg.dial(ctx, "node "+cfg.Node, cfg.Lease, log)
	}
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	config := cfg.config()
	config.Conn, config.Local, config.Logger = m.conn, local, log
	m.node, err = cluster.Join(limit, config)
	if err != nil {
		return cfg.joinError(ctx, err)
	}
	return nil
}

// startBroker starts the broker within this process, and connects to it.
func (m *member) startBroker(cfg nodeConfig, log *slog.Logger) (err error) {
	m.broker, err = embedded.Start(embedded.Config{Dir: cfg.Dir, Addr: cfg.Listen, Token: cfg.Token})
	if err != nil {
		return errors.New("--cluster embedded: " + flagsOf.Replace(err.Error()))
	}
	if m.conn, err = m.broker.Connect(cluster.ConnOptions(cfg.Lease)...); err != nil {
		return fmt.Errorf("--cluster embedded: %w", err)
	}
	log.Info("broker", "url", m.broker.URL(), "dir", cfg.Dir)
	return nil
}

// isolated reports whether the node has lost its lease, and whether it takes logins.
func (m *member) isolated() (isolated, takes bool) {
	if m == nil || m.node.State() != cluster.Isolated {
		return false, true
	}
	return true, m.allows
}

// leave takes the node out of the cluster, within the limit, and then ends what it
// stands on. The server must have shut down.
func (m *member) leave(limit time.Duration) error {
	if m == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := m.node.Leave(ctx)
	if err != nil {
		err = fmt.Errorf("the node did not leave the cluster, which finds it dead after its lease: %w", err)
	}
	return errors.Join(err, m.close())
}

// close ends what the node stands on.
func (m *member) close() error {
	if m.conn != nil {
		m.conn.Close()
	}
	if m.broker != nil {
		return m.broker.Close()
	}
	return nil
}
