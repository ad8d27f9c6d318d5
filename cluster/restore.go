package cluster

import (
	"context"

	"github.com/sessionwheel/sessionwheel/pool"
)

// restore gives a session of this node's its entry, or closes the session if the
// ID has gone to another. Seen is what the sweep has read of it.
func (n *Node) restore(ctx context.Context, t tenure, seen standing) error {
	for {
		rival, epoch, err := n.relist(ctx, t, seen)
		if err != nil || rival == nil {
			return err
		}
		dead, err := n.isDead(ctx, rival.Owner)
		if err != nil {
			return err
		}
		switch {
		case dead:
			seen = standing{rev: rival.rev}
			continue
		case rival.Token > t.token, rival.Token == t.token && rival.Owner > epoch:
			// Another login has taken the ID while this node was cut off.
			return n.closeAll(ctx, []tenure{t}, pool.Replaced)
		}
		// Another node's entry with a lower token has to go, as for a login.
		rev, err := n.yielded(ctx, t.id, *rival, pool.Replaced)
		if err == nil {
			seen = standing{rev: rev}
			continue
		}
		if n.State() != Active || !sleep(ctx, n.c.attempt()/8) {
			return errLapsed
		}
		if seen, err = n.entry(ctx, t.id); err != nil {
			return err
		}
	}
}

// relist does one attempt of restore, with the ID locked: without it, an eviction
// might close the session and delete its entry while this writes it anew. It
// returns the entry of another node that is in the way, if there is one, and this
// node's epoch.
func (n *Node) relist(ctx context.Context, t tenure, seen standing) (rival *standing, epoch string, err error) {
	unlock, err := n.locks.lock(ctx, t.id)
	if err != nil {
		return nil, "", err
	}
	defer unlock()
	for {
		n.mu.Lock()
		epoch, state := n.standingLocked()
		h := n.held[t.id]
		ours := seen.live && n.mine[seen.Owner]
		var e entry
		if h != nil {
			e = entry{Owner: epoch, Node: n.c.Name, Token: h.token, Since: h.since, Meta: h.meta}
		}
		n.mu.Unlock()
		switch {
		case h == nil || h.token != t.token:
			return nil, "", nil // it has ended meanwhile
		case state != Active:
			return nil, "", errLapsed
		case !seen.live || ours && (seen.Owner != epoch || seen.Token != t.token):
			// Nobody's, or of this node's before: write.
		case ours:
			n.listed(t, seen.rev)
			return nil, "", nil
		default:
			return &seen, epoch, nil
		}
		rev, err := n.dir.put(ctx, keyOf(t.id), e, seen.rev, 0)
		if err == nil {
			n.listed(t, rev)
			return nil, "", nil
		}
		if !isConflict(err) {
			return nil, "", err
		}
		if seen, err = n.entry(ctx, t.id); err != nil {
			return nil, "", err
		}
	}
}

// listed notes that a session has its entry, at the given revision.
func (n *Node) listed(t tenure, rev uint64) {
	gen := n.generation()
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.held[t.id]; h != nil && h.token == t.token {
		h.listed, h.rev, h.gen = true, rev, gen
	}
}
