package browser

import (
	"context"
	"slices"
	"sync"

	"github.com/sessionwheel/sessionwheel/dashboard"
)

// Town is a cluster of a few nodes that keeps its sessions in memory. It may be
// used from any goroutine.
type Town struct {
	mu sync.Mutex
	// Guarded by mu.
	state    string
	nodes    []dashboard.ClusterNode
	sessions []dashboard.ClusterSession
	gone     error         // why there is no answer from the broker
	block    chan struct{} // nil: it answers; else once this is closed
}

var _ dashboard.Cluster = (*Town)(nil)

// NewTown is a town with an active node.
func NewTown(nodes []dashboard.ClusterNode, sessions []dashboard.ClusterSession) *Town {
	return &Town{state: "Active", nodes: nodes, sessions: slices.Clone(sessions)}
}

// Enter changes the node's state, and why its broker does not answer; nil is that
// it does.
func (t *Town) Enter(state string, gone error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state, t.gone = state, gone
}

// Block makes the broker take its time until the func that is returned is called.
func (t *Town) Block() (goOn func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	block := make(chan struct{})
	t.block = block
	return func() { close(block) }
}

// IDs are the IDs of the sessions.
func (t *Town) IDs() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []string
	for _, s := range t.sessions {
		ids = append(ids, s.ID)
	}
	return ids
}

// State is as dashboard.Cluster says.
func (t *Town) State() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// Nodes is as dashboard.Cluster says.
func (t *Town) Nodes() []dashboard.ClusterNode {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.nodes)
}

// ask is the sessions, once the broker answers.
func (t *Town) ask(ctx context.Context) ([]dashboard.ClusterSession, error) {
	t.mu.Lock()
	block := t.block
	t.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.sessions), t.gone
}

// Lookup is as dashboard.Cluster says.
func (t *Town) Lookup(ctx context.Context, id string) (s dashboard.ClusterSession, ok bool, err error) {
	all, err := t.ask(ctx)
	i := slices.IndexFunc(all, func(s dashboard.ClusterSession) bool { return s.ID == id })
	if err != nil || i < 0 {
		return dashboard.ClusterSession{}, false, err
	}
	return all[i], true, nil
}

// List is as dashboard.Cluster says.
func (t *Town) List(ctx context.Context, f func(dashboard.ClusterSession) bool) error {
	all, err := t.ask(ctx)
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

// Kick is as dashboard.Cluster says.
func (t *Town) Kick(ctx context.Context, id, _ string) (ok bool, err error) {
	if _, err := t.ask(ctx); err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	before := len(t.sessions)
	t.sessions = slices.DeleteFunc(t.sessions, func(s dashboard.ClusterSession) bool { return s.ID == id })
	return len(t.sessions) < before, nil
}
