package node

import (
	"context"
	"errors"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
)

// page is the cluster of a node, for the page. It has the names of logins and their
// peers' addresses unchanged, since the page shows them as text.
type page struct {
	node   *cluster.Node
	silent time.Duration // after which another node is silent
}

// Page is the cluster as the page shows it.
func (m *Member) Page() dashboard.Cluster { return page{m.node, m.silent} }

// State is as dashboard.Cluster says.
func (p page) State() string { return p.node.State().String() }

// Nodes is as dashboard.Cluster says.
func (p page) Nodes() []dashboard.ClusterNode {
	var nodes []dashboard.ClusterNode
	for _, n := range p.node.Nodes() {
		shown := dashboard.ClusterNode{Name: n.Name, Incarnation: n.Epoch, Sessions: n.Sessions, This: n.This}
		if since := time.Since(n.Seen); !n.This && since > p.silent {
			shown.Silent = since
		}
		nodes = append(nodes, shown)
	}
	return nodes
}

// Lookup is as dashboard.Cluster says.
func (p page) Lookup(ctx context.Context, id string) (dashboard.ClusterSession, bool, error) {
	e, err := p.node.Lookup(ctx, id)
	if found, err := wasFound(err); !found {
		return dashboard.ClusterSession{}, false, err
	}
	return onPage(e), true, nil
}

// List is as dashboard.Cluster says.
func (p page) List(ctx context.Context, f func(dashboard.ClusterSession) bool) error {
	return p.node.List(ctx, func(e cluster.Entry) bool { return f(onPage(e)) })
}

// Kick is as dashboard.Cluster says.
func (p page) Kick(ctx context.Context, id string, generation uint64, reason string) (bool, error) {
	return wasFound(p.node.KickEntry(ctx, cluster.Entry{ID: id, Token: generation}, pool.Reason(reason)))
}

// wasFound returns no error if there is no such session, as there is none with an ID
// that no node would take.
func wasFound(err error) (bool, error) {
	if errors.Is(err, cluster.ErrNotFound) || errors.Is(err, cluster.ErrInvalid) {
		return false, nil
	}
	return err == nil, err
}

func onPage(e cluster.Entry) dashboard.ClusterSession {
	return dashboard.ClusterSession{ID: e.ID, Generation: e.Token, Node: e.Node, Since: e.Since, Metadata: e.Meta}
}
