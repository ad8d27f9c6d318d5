package cluster

import (
	"context"

	"github.com/sessionwheel/sessionwheel/pool"
)

// restore writes the entry of a session of this node, or closes the session if another
// node's has replaced it. seen is the ID's entry as the reconciliation has read it.
func (n *Node) restore(ctx context.Context, ref sessionRef, seen dirEntry) error {
	if seen.live { // perhaps long ago, on a broker that lags behind
		var err error
		if seen, err = n.readEntry(ctx, n.back, ref.id); err != nil {
			return err
		}
	}
	for {
		rival, epoch, err := n.tryRestore(ctx, ref, seen)
		if err != nil || rival == nil {
			return err
		}
		dead, err := n.isDead(ctx, rival.Owner)
		if err != nil {
			return err
		}
		switch {
		case dead:
			seen = dirEntry{rev: rival.rev, gen: rival.gen}
			continue
		case rival.Token > ref.token, rival.Token == ref.token && rival.Owner > epoch:
			// A later login took the ID while this node was cut off.
			return n.closeAll(ctx, []sessionRef{ref}, pool.Replaced)
		}
		// The other entry has a lower token, so its owner must evict its session.
		free, _, err := n.freeEntry(ctx, ref.id, *rival, pool.Replaced)
		if err == nil {
			seen = free
			continue
		}
		if n.State() != Active || !sleep(ctx, n.c.attempt()/8) {
			return errNoLease
		}
		if seen, err = n.readEntry(ctx, n.back, ref.id); err != nil {
			return err
		}
	}
}

// tryRestore writes the session's entry, unless another node has one. It then returns
// that entry, and this node's epoch.
//
// The ID is locked throughout. Otherwise an eviction could close the session and delete
// its entry at the same time, and this would write the entry again.
func (n *Node) tryRestore(ctx context.Context, ref sessionRef, seen dirEntry) (rival *dirEntry, epoch string, err error) {
	unlock, err := n.locks.lock(ctx, ref.id)
	if err != nil {
		return nil, "", err
	}
	defer unlock()
	for {
		n.mu.Lock()
		epoch, state := n.epochAndStateLocked()
		s := n.sessions[ref.id]
		own := seen.live && n.ownEpochs[seen.Owner]
		var e entry
		if s != nil {
			e = entry{Owner: epoch, Node: n.c.Name, Token: s.token, Since: s.since, Began: s.began, Meta: s.meta}
		}
		n.mu.Unlock()
		switch {
		case s == nil || s.token != ref.token:
			return nil, "", nil // the session has ended
		case state != Active:
			return nil, "", errNoLease
		case !seen.live || own && (seen.Owner != epoch || seen.Token != ref.token):
			// No entry, or an earlier one of this node: write.
		case own:
			n.recordEntry(ref, seen.rev, seen.gen)
			return nil, "", nil
		default:
			return &seen, epoch, nil
		}
		gen := n.generation()
		rev, err := n.putEntry(ctx, ref.id, e, seen.rev, seen.gen)
		if err == nil {
			n.recordEntry(ref, rev, gen)
			return nil, "", nil
		}
		if !isConflict(err) {
			return nil, "", err
		}
		if seen, err = n.readEntry(ctx, n.back, ref.id); err != nil {
			return nil, "", err
		}
	}
}

// recordEntry records that a session has its entry, at the given revision of the given
// generation.
func (n *Node) recordEntry(ref sessionRef, rev, gen uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.sessions[ref.id]; s != nil && s.token == ref.token {
		s.mayHaveEntry, s.rev, s.gen = true, rev, gen
		p := n.dir.of(ref.id)
		p.oldest = min(p.oldest, rev)
	}
}
