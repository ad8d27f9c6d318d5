package cluster

import "context"

// reap deletes the entries of the dead, each by a compare-and-set on the revision
// that was seen, so that whoever has taken one over meanwhile keeps it. When all
// are gone, so is the death certificate. As long as it stands, every node does this
// again after a while, also if the one that began it has died itself.
func (n *Node) reap(ctx context.Context, m *mending) error {
	err := parallel(ctx, m.reap, func(ctx context.Context, l listing) error {
		_, err := n.dir.del(ctx, l.key, l.rev, markerTTL)
		if isConflict(err) {
			return nil // taken over, or deleted by another node
		}
		return err
	})
	if err != nil {
		return err
	}
	for epoch := range m.dead {
		if err := n.bury(ctx, epoch); err != nil {
			return err
		}
	}
	return nil
}

// bury deletes a death certificate. The dead node may be back and try to renew its
// lease: its compare-and-set is refused whether there is a certificate or nothing.
func (n *Node) bury(ctx context.Context, epoch string) error {
	n.mu.Lock()
	p := n.peers[epoch]
	n.mu.Unlock()
	if p == nil {
		return nil
	}
	_, err := n.nodes.del(ctx, epoch, p.rev, markerTTL)
	if err != nil && !isConflict(err) {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.peers[epoch] == p {
		delete(n.peers, epoch)
	}
	return nil
}

// identify declares dead the epochs that have no record, whose entries the next
// sweep then deletes.
func (n *Node) identify(ctx context.Context, unknown map[string]bool) error {
	for epoch := range unknown {
		if _, err := n.isDead(ctx, epoch); err != nil {
			return err
		}
	}
	return nil
}
