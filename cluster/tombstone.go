package cluster

import (
	"context"
	"errors"
)

// deleteStale deletes the entries of dead nodes and then their tombstones. Each entry is
// deleted by a compare-and-set on the revision that was read, so that an entry that was
// taken over stays. The node that wrote the tombstone does this, and if that has died,
// another one: see mustReapLocked. The entries do not count meanwhile.
func (n *Node) deleteStale(ctx context.Context, p *reconcilePlan) error {
	err := parallel(ctx, p.stale, func(ctx context.Context, l staleEntry) error {
		_, err := n.delEntry(ctx, l.id, l.rev, l.gen, markerTTL)
		if isConflict(err) && !errors.Is(err, errOldRevision) {
			return nil // taken over, or deleted by another node
		}
		return err
	})
	if err != nil {
		return err
	}
	for epoch := range p.deadEpochs {
		if err := n.deleteTombstone(ctx, epoch); err != nil {
			return err
		}
	}
	return nil
}

// deleteTombstone deletes the tombstone of an epoch. If the dead node comes back and
// tries to renew its lease, its compare-and-set is refused with or without the
// tombstone.
func (n *Node) deleteTombstone(ctx context.Context, epoch string) error {
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
		n.dropRecordLocked(epoch)
	}
	return nil
}

// checkUnknown declares epochs without a record dead once they have been silent for a
// lease. The next reconciliation then deletes their entries.
func (n *Node) checkUnknown(ctx context.Context, unknown map[string]bool) error {
	for epoch := range unknown {
		if _, err := n.isDead(ctx, epoch); err != nil {
			return err
		}
	}
	return nil
}
