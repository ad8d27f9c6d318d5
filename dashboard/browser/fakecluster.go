package browser

import (
	"context"
	"slices"
	"sync"

	"github.com/sessionwheel/sessionwheel/dashboard"
)

// FakeCluster is a cluster in memory. Its methods may be called from any goroutine.
type FakeCluster struct {
	mu sync.Mutex
	// Guarded by mu.
	state    string
	nodes    []dashboard.ClusterNode
	sessions []dashboard.ClusterSession
	broken   error         // what the broker answers with; nil: it works
	blocked  chan struct{} // the broker answers once this is closed; nil: at once
}

var _ dashboard.Cluster = (*FakeCluster)(nil)

// NewFakeCluster returns a cluster whose state is "Active".
func NewFakeCluster(nodes []dashboard.ClusterNode, sessions []dashboard.ClusterSession) *FakeCluster {
	return &FakeCluster{state: "Active", nodes: nodes, sessions: slices.Clone(sessions)}
}

// SetState changes the node's state, and the error that the broker answers with; nil
// means that it works.
func (c *FakeCluster) SetState(state string, broken error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.broken = state, broken
}

// SetNodes changes the nodes.
func (c *FakeCluster) SetNodes(nodes []dashboard.ClusterNode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = nodes
}

// Block makes the broker's answers wait until unblock is called.
func (c *FakeCluster) Block() (unblock func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	blocked := make(chan struct{})
	c.blocked = blocked
	return func() { close(blocked) }
}

// IDs returns the IDs of the sessions.
func (c *FakeCluster) IDs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for _, s := range c.sessions {
		ids = append(ids, s.ID)
	}
	return ids
}

// State implements dashboard.Cluster.
func (c *FakeCluster) State() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Nodes implements dashboard.Cluster.
func (c *FakeCluster) Nodes() []dashboard.ClusterNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.nodes)
}

// ask returns the sessions when the broker answers.
func (c *FakeCluster) ask(ctx context.Context) ([]dashboard.ClusterSession, error) {
	c.mu.Lock()
	blocked := c.blocked
	c.mu.Unlock()
	if blocked != nil {
		select {
		case <-blocked:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sessions), c.broken
}

// Lookup implements dashboard.Cluster.
func (c *FakeCluster) Lookup(ctx context.Context, id string) (s dashboard.ClusterSession, ok bool, err error) {
	all, err := c.ask(ctx)
	i := slices.IndexFunc(all, func(s dashboard.ClusterSession) bool { return s.ID == id })
	if err != nil || i < 0 {
		return dashboard.ClusterSession{}, false, err
	}
	return all[i], true, nil
}

// List implements dashboard.Cluster.
func (c *FakeCluster) List(ctx context.Context, f func(dashboard.ClusterSession) bool) error {
	all, err := c.ask(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		if !f(s) {
			break
		}
	}
	return nil
}

// Kick implements dashboard.Cluster.
func (c *FakeCluster) Kick(ctx context.Context, id string, generation uint64, _ string) (ok bool, err error) {
	if _, err := c.ask(ctx); err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.sessions)
	c.sessions = slices.DeleteFunc(c.sessions, func(s dashboard.ClusterSession) bool { return s.ID == id && s.Generation == generation })
	return len(c.sessions) < before, nil
}
