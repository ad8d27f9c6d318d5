package cluster

import (
	"context"
	"time"
)

// isSilentLocked reports whether an epoch may be declared dead: its last heartbeat was
// seen longer ago than a lease, the longer of its own and this node's, and during all
// that time this node could renew its own lease.
func (n *Node) isSilentLocked(p *peer, now time.Time) bool {
	if n.clocks.Since(n.lastBeat) > n.c.gap() {
		return false // this node cannot write either
	}
	since := p.seen
	if since.Before(n.silenceSince) {
		since = n.silenceSince
	}
	return now.Sub(since) > max(n.c.LeaseTTL, p.lease())
}

// deathLoop declares silent nodes dead. It starts a reconciliation when the entries of
// dead nodes must be deleted.
func (n *Node) deathLoop() {
	for sleep(n.ctx, n.c.LeaseTTL/8) {
		silent, stale := n.findSilent()
		err := parallel(n.ctx, silent, func(ctx context.Context, epoch string) error {
			_, err := n.isDead(ctx, epoch)
			return err
		})
		if err != nil && n.ctx.Err() == nil {
			n.log.Debug("a node could not be declared dead", "error", err)
		}
		if stale {
			notify(n.reconcileNow)
		}
	}
}

// findSilent returns the epochs that may be declared dead, and whether this node must
// delete entries of epochs that are dead.
func (n *Node) findSilent() (silent []string, stale bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if _, state := n.epochAndStateLocked(); state != Active {
		return nil, false
	}
	for epoch, p := range n.noRecord {
		if n.isSilentLocked(p, now) {
			silent = append(silent, epoch)
		}
	}
	for epoch, p := range n.peers {
		switch {
		case p.rec.Dead:
			stale = stale || n.mustReapLocked(p, now)
		case epoch != n.epoch && n.isSilentLocked(p, now):
			silent = append(silent, epoch)
		}
	}
	return silent, stale
}

// mustReapLocked reports whether this node must delete the entries of an epoch that is dead.
// The node that wrote the tombstone does that. If it has died or left, one of the others does,
// on which all agree, after a pause in which a node that leaves deletes its own.
func (n *Node) mustReapLocked(p *peer, now time.Time) bool {
	if n.ownEpochs[p.rec.By] {
		return true
	}
	if by := n.peers[p.rec.By]; by != nil && !by.rec.Dead {
		return false
	}
	return !now.Before(p.deleteAt) && n.isFirstLocked()
}

// isFirstLocked reports whether this node is the one that does what one node must do for all:
// of the epochs that live, its own is the lowest.
func (n *Node) isFirstLocked() bool {
	for epoch, p := range n.peers {
		if !p.rec.Dead && epoch < n.epoch {
			return false
		}
	}
	return true
}

// isDead reports whether an epoch has been declared dead, declaring it so first if its
// lease has expired. If it returns an error, the epoch must be taken as alive.
//
// An epoch whose tombstone was deleted, and which has an entry all the same, gets another
// tombstone at once. That its record is still missing is decided by the compare-and-set: a
// broker that was killed may have lost the tombstone, and then the epoch's node goes on.
func (n *Node) isDead(ctx context.Context, epoch string) (bool, error) {
	if epoch == "" {
		return true, nil // an entry without an owner
	}
	n.mu.Lock()
	p := n.peers[epoch]
	current, buried := epoch == n.epoch, n.buried.has(epoch)
	var dead, silent bool
	if p != nil {
		dead, silent = p.rec.Dead, n.isSilentLocked(p, time.Now())
	}
	n.mu.Unlock()
	switch {
	case dead:
		return true, nil
	case current:
		return false, nil
	case silent:
		return n.declareDead(ctx, epoch)
	case p != nil && !buried:
		return false, nil
	}

	// Its record was not received yet, or is an old one from a broker that lags behind, or does
	// not exist.
	f, rec, err := n.readRecord(ctx, epoch)
	if err != nil || f.live {
		return rec.Dead, err
	}
	n.mu.Lock()
	p = n.noRecord[epoch]
	if p == nil {
		p = &peer{seen: time.Now()}
		n.noRecord[epoch] = p
	}
	silent = buried || n.isSilentLocked(p, time.Now())
	n.mu.Unlock()
	if !silent {
		return false, nil
	}
	return n.writeTombstone(ctx, epoch, p.rec, f.rev)
}

// declareDead writes the tombstone of an epoch, if it is still silent, and reports
// whether the epoch is dead.
func (n *Node) declareDead(ctx context.Context, epoch string) (bool, error) {
	n.mu.Lock()
	p := n.peers[epoch]
	if p == nil || p.rec.Dead || !n.isSilentLocked(p, time.Now()) {
		n.mu.Unlock()
		return p != nil && p.rec.Dead, nil
	}
	rec, rev := p.rec, p.rev
	n.mu.Unlock()
	return n.writeTombstone(ctx, epoch, rec, rev)
}

// writeTombstone writes the tombstone of an epoch by a compare-and-set on the given
// revision, and reports whether the epoch is dead. The write is refused if the epoch
// has renewed its lease in the meantime, or another node has written a tombstone. A
// tombstone is deleted after the entries of its epoch.
func (n *Node) writeTombstone(ctx context.Context, epoch string, rec beatRecord, rev uint64) (bool, error) {
	rec.Dead = true
	n.mu.Lock()
	rec.By = n.epoch
	n.mu.Unlock()
	tombstone, err := n.nodes.put(ctx, epoch, rec, rev, 0)
	if isConflict(err) {
		f, rec, err := n.readRecord(ctx, epoch)
		if err == nil && !f.live { // the record was deleted, and the view may not have it yet
			n.mu.Lock()
			n.dropRecordLocked(epoch)
			n.mu.Unlock()
		}
		return rec.Dead, err
	}
	if err != nil {
		return false, err
	}
	n.log.Info("declared a node dead", "name", rec.Node, "epoch", epoch)
	n.mu.Lock()
	now := time.Now()
	n.peers[epoch] = &peer{rec: rec, rev: tombstone, seen: now, deleteAt: now}
	delete(n.noRecord, epoch)
	n.mu.Unlock()
	notify(n.reconcileNow)
	return true, nil
}
