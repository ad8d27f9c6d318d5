package cluster

import (
	"context"
	"time"
)

// silentLocked reports whether an epoch may be declared dead: its last heartbeat
// was seen a lease or longer ago, the longer of its own and this node's, and this
// node has been able to renew its own lease all that time.
func (n *Node) silentLocked(p *peer, now time.Time) bool {
	if now.Sub(n.lastBeat) > n.c.gap() {
		return false // this node writes as little as that one
	}
	since := p.seen
	if since.Before(n.clocks) {
		since = n.clocks
	}
	return now.Sub(since) > max(n.c.LeaseTTL, p.lease())
}

// judgeLoop declares dead the nodes that have been silent, and has the sweep
// delete what they left.
func (n *Node) judgeLoop() {
	for sleep(n.ctx, n.c.LeaseTTL/8) {
		silent, reap := n.judge()
		err := parallel(n.ctx, silent, func(ctx context.Context, epoch string) error {
			_, err := n.isDead(ctx, epoch)
			return err
		})
		if err != nil && n.ctx.Err() == nil {
			n.log.Debug("a node could not be declared dead", "error", err)
		}
		if reap {
			poke(n.wantSweep)
		}
	}
}

// judge returns the epochs that may be declared dead, and whether some that are
// left entries that this node is to delete.
func (n *Node) judge() (silent []string, reap bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if _, state := n.standingLocked(); state != Active {
		return nil, false
	}
	for epoch, p := range n.missed {
		if n.silentLocked(p, now) {
			silent = append(silent, epoch)
		}
	}
	for epoch, p := range n.peers {
		switch {
		case p.rec.Dead:
			reap = reap || now.After(p.reap)
		case epoch != n.epoch && n.silentLocked(p, now):
			silent = append(silent, epoch)
		}
	}
	return silent, reap
}

// isDead reports whether an epoch is dead for sure, and makes it so if it may be.
// It may not with an error, or while the epoch's lease is not over.
func (n *Node) isDead(ctx context.Context, epoch string) (bool, error) {
	if epoch == "" {
		return true, nil // an entry that is nobody's
	}
	n.mu.Lock()
	p := n.peers[epoch]
	current := epoch == n.epoch
	var dead, silent bool
	if p != nil {
		dead, silent = p.rec.Dead, n.silentLocked(p, time.Now())
	}
	n.mu.Unlock()
	switch {
	case dead:
		return true, nil
	case current:
		return false, nil
	case silent:
		return n.certify(ctx, epoch)
	case p != nil:
		return false, nil
	}

	// Not seen yet, or its record is gone.
	f, rec, err := n.recordOf(ctx, epoch)
	if err != nil || f.live {
		return rec.Dead, err
	}
	n.mu.Lock()
	p = n.missed[epoch]
	if p == nil {
		p = &peer{seen: time.Now()}
		n.missed[epoch] = p
	}
	silent = n.silentLocked(p, time.Now())
	n.mu.Unlock()
	if !silent {
		return false, nil
	}
	return n.certifyAt(ctx, epoch, p.rec, f.rev)
}

// certify writes the death certificate of a silent epoch.
func (n *Node) certify(ctx context.Context, epoch string) (bool, error) {
	n.mu.Lock()
	p := n.peers[epoch]
	if p == nil || p.rec.Dead || !n.silentLocked(p, time.Now()) {
		n.mu.Unlock()
		return p != nil && p.rec.Dead, nil
	}
	rec, rev := p.rec, p.rev
	n.mu.Unlock()
	return n.certifyAt(ctx, epoch, rec, rev)
}

// certifyAt writes a death certificate on exactly the given revision. If the epoch
// has renewed its lease since, or somebody else was quicker, it is refused. It
// stays until the entries of the epoch are deleted, whoever does that.
func (n *Node) certifyAt(ctx context.Context, epoch string, rec beatRecord, rev uint64) (bool, error) {
	rec.Dead = true
	certificate, err := n.nodes.put(ctx, epoch, rec, rev, 0)
	if isConflict(err) {
		f, rec, err := n.recordOf(ctx, epoch)
		if err == nil && !f.live { // it was deleted, and no watcher may have told
			n.mu.Lock()
			n.missLocked(epoch)
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
	n.peers[epoch] = &peer{rec: rec, rev: certificate, seen: now, reap: now}
	delete(n.missed, epoch)
	n.mu.Unlock()
	poke(n.wantSweep)
	return true, nil
}
