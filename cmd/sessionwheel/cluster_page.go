package main

import (
	"context"
	"errors"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
)

// clusterPage is a node as the page shows its cluster. The names of logins and
// their peers' addresses are on it as they are: the page shows them as text.
type clusterPage struct{ node *cluster.Node }

// cluster is what the page shows of one, and nil if there is none.
func (w watched) cluster() dashboard.Cluster {
	if w.node == nil {
		return nil
	}
	return clusterPage{w.node.node}
}

// State is as dashboard.Cluster says.
func (p clusterPage) State() string { return p.node.State().String() }

// Nodes is as dashboard.Cluster says.
func (p clusterPage) Nodes() []dashboard.ClusterNode {
	var nodes []dashboard.ClusterNode
	for _, n := range p.node.Nodes() {
		nodes = append(nodes, dashboard.ClusterNode{Name: n.Name, Incarnation: n.Epoch, Sessions: n.Sessions, This: n.This})
	}
	return nodes
}

// Lookup is as dashboard.Cluster says.
func (p clusterPage) Lookup(ctx context.Context, id string) (dashboard.ClusterSession, bool, error) {
	e, err := p.node.Lookup(ctx, id)
	if found, err := wasFound(err); !found {
		return dashboard.ClusterSession{}, false, err
	}
	return onPage(e), true, nil
}

// List is as dashboard.Cluster says.
func (p clusterPage) List(ctx context.Context, f func(dashboard.ClusterSession) bool) error {
	return p.node.List(ctx, func(e cluster.Entry) bool { return f(onPage(e)) })
}

// Kick is as dashboard.Cluster says.
func (p clusterPage) Kick(ctx context.Context, id, reason string) (bool, error) {
	return wasFound(p.node.Kick(ctx, id, pool.Reason(reason)))
}

// wasFound tells other errors from that there is no such session, as there is none
// with an ID that no node would take.
func wasFound(err error) (bool, error) {
	if errors.Is(err, cluster.ErrNotFound) || errors.Is(err, cluster.ErrInvalid) {
		return false, nil
	}
	return err == nil, err
}

func onPage(e cluster.Entry) dashboard.ClusterSession {
	return dashboard.ClusterSession{ID: e.ID, Node: e.Node, Since: e.Since, Metadata: e.Meta}
}
