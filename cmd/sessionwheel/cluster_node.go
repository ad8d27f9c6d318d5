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
}

// joinCluster makes srv, which does not serve yet, a node of the cluster that the
// flags name, and returns nil if that is none. Logins that wait for another node
// are given up when ctx ends. It ends with leave.
func joinCluster(ctx context.Context, cfg nodeConfig, srv *tcp.Server, proto protocol, log *slog.Logger) (*member, error) {
	if cfg.Cluster == "" {
		return nil, nil
	}
	m := &member{}
	err := m.join(ctx, cfg, &clusterLocal{server: srv, proto: proto}, log)
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	srv.Directory = m.node
	(&reception{ctx: ctx, limit: 2 * cfg.lease(), proto: proto, log: log}).open(srv)
	return m, nil
}

func (m *member) join(ctx context.Context, cfg nodeConfig, local cluster.Local, log *slog.Logger) (err error) {
	if cfg.Cluster == ownBroker {
		err = m.startBroker(cfg, log)
	} else {
		m.conn, err = cfg.dial(ctx, "node "+cfg.Node, cfg.lease(), log)
	}
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	replicas, storage, err := cfg.kept(limit, m.conn)
	switch {
	case err != nil:
		return cfg.joinError(ctx, err)
	case replicas != 0 && replicas != cfg.Replicas:
		return fmt.Errorf("--replicas is %d, and the cluster has %d: all nodes must have the same", cfg.Replicas, replicas)
	}
	m.node, err = cluster.Join(limit, cluster.Config{
		Name: cfg.Node, Namespace: cfg.Namespace, Conn: m.conn, Replicas: cfg.Replicas, Storage: storage, LeaseTTL: cfg.lease(),
		Local: local, Logger: log,
	})
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
	if m.conn, err = m.broker.Connect(cluster.ConnOptions(cfg.lease())...); err != nil {
		return fmt.Errorf("--cluster embedded: %w", err)
	}
	log.Info("broker", "url", m.broker.URL(), "dir", cfg.Dir)
	return nil
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
