package cluster

import (
	"context"
	"maps"
	"slices"
	"time"
)

// cleanup says that the directory may have an entry of this node without a session,
// which must be deleted. Whether it has is checked with the ID locked: an entry of this
// node is right if and only if the node has a session of the ID.
type cleanup struct {
	rev uint64 // the entry's revision; 0: not known
	gen uint64 // the generation of rev

	// inDoubt says that a claim was given up while a write had no answer. The write may
	// still be executed as long as the entry has the revision expectedRev.
	inDoubt     bool
	expectedRev uint64

	kept *kept // if not nil, the entry is deleted later

	seq uint64 // distinguishes cleanups of the same ID
}

// Release gives up the ID of a session that has ended. It does not block: the entry is
// deleted in the background, with retries until the broker has confirmed it. Release
// does nothing if the session with that token was evicted or replaced.
func (n *Node) Release(id string, token uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sessions[id]
	if s == nil || s.token != token {
		return
	}
	delete(n.sessions, id)
	if s.mayHaveEntry && (s.ending == nil || s.ending.over) { // else the entry is left to whoever closes it
		n.leaveEntryLocked(id, s)
	}
}

// addCleanup adds a cleanup for an ID. It replaces an earlier one.
func (n *Node) addCleanup(id string, cl cleanup) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addCleanupLocked(id, cl)
}

func (n *Node) addCleanupLocked(id string, cl cleanup) {
	old := n.cleanups[id]
	if old.inDoubt && !cl.inDoubt {
		cl.inDoubt, cl.expectedRev = true, old.expectedRev
	}
	if cl.kept == nil {
		cl.kept = old.kept
	}
	n.cleanupSeq++
	cl.seq = n.cleanupSeq
	n.cleanups[id] = cl
	notify(n.cleanupNow)
}

// cleanupLoop runs the cleanups, and repeats those that fail.
func (n *Node) cleanupLoop() {
	for {
		select {
		case <-n.last.Done():
			return
		case <-n.cleanupNow:
		}
		for n.runCleanups(n.last) != nil {
			if !sleep(n.last, n.c.attempt()/2) {
				return
			}
		}
	}
}

// runCleanups runs the cleanups that are due, and removes those that succeed.
func (n *Node) runCleanups(ctx context.Context) error {
	pending := n.dueCleanups()
	return parallel(ctx, slices.Collect(maps.Keys(pending)), func(ctx context.Context, id string) error {
		err := n.cleanUpEntry(ctx, id, pending[id])
		n.mu.Lock()
		defer n.mu.Unlock()
		switch cl := n.cleanups[id]; {
		case cl.seq != pending[id].seq: // replaced by a newer cleanup
		case err == nil:
			delete(n.cleanups, id)
		default:
			cl.rev = 0 // unknown now: the next attempt reads it
			n.cleanups[id] = cl
		}
		return err
	})
}

// cleanUpEntry deletes this node's entry of an ID, unless the node has a session of the
// ID.
func (n *Node) cleanUpEntry(ctx context.Context, id string, cl cleanup) error {
	ctx, cancel := context.WithTimeout(ctx, 3*n.c.attempt())
	defer cancel()
	unlock, err := n.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	n.mu.Lock()
	s := n.sessions[id]
	n.mu.Unlock()
	if s != nil {
		if cl.inDoubt {
			return n.rewriteEntry(ctx, id, s)
		}
		return nil // its claim has overwritten the entry, or a reconciliation will
	}
	if cl.rev != 0 {
		if _, err := n.delEntry(ctx, id, cl.rev, cl.gen, markerTTL); err == nil {
			return nil
		}
	}
	for {
		err := n.deleteEntry(ctx, id, cl)
		if !isConflict(err) { // on a conflict, an earlier write was executed in between
			return err
		}
	}
}

// deleteEntry deletes the entry of an ID if it is this node's, and makes sure that a
// write in doubt is refused. The caller has locked the ID.
func (n *Node) deleteEntry(ctx context.Context, id string, cl cleanup) error {
	seen, err := n.readEntry(ctx, n.back, id)
	switch {
	case err != nil:
		return err
	case seen.live && n.isOwnEpoch(seen.Owner):
		_, err = n.delEntry(ctx, id, seen.rev, seen.gen, markerTTL)
	case cl.inDoubt && seen.rev == cl.expectedRev:
		// The write in doubt would still succeed. The deletion changes the revision, and
		// its marker stays longer than a message can be in transit.
		_, err = n.delEntry(ctx, id, seen.rev, seen.gen, max(n.c.LeaseTTL, 10*time.Second))
	default: // it was deleted, or written over by another node, or this broker has lost it for now
		n.deleted.add(id)
	}
	return err
}

// rewriteEntry writes the entry of a session that this node has kept, after a later
// login of the ID was given up whose write is in doubt. That changes the revision, so
// the write in doubt is refused. The caller has locked the ID.
func (n *Node) rewriteEntry(ctx context.Context, id string, s *ownSession) error {
	seen, err := n.readEntry(ctx, n.back, id)
	if err != nil {
		return err
	}
	epoch, state := n.epochAndState()
	if state != Active || !seen.live || !n.isOwnEpoch(seen.Owner) {
		return nil // the next reconciliation handles it
	}
	gen := n.generation()
	rev, err := n.putEntry(ctx, id, entry{Owner: epoch, Node: n.c.Name, Token: s.token, Since: s.since, Began: s.began, Meta: s.meta}, seen.rev, seen.gen)
	if err == nil {
		n.recordEntry(sessionRef{id, s.token}, rev, gen)
	}
	return err
}
