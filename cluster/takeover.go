package cluster

import (
	"context"
	"fmt"

	"github.com/sessionwheel/sessionwheel/pool"
)

// takeOver waits until the entry that another session has under the claim's ID may be
// overwritten, and sets c.rev to the revision at which it may: the entry is deleted, is
// this node's own, its owner is dead, or the owner has evicted its session. If the entry
// is that of a claim that began later, it returns ErrSuperseded.
func (n *Node) takeOver(ctx context.Context, c *claim, seen dirEntry) error {
	var pause backoff
	for {
		if n.State() != Active {
			return errNoLease
		}
		if c.isBefore(seen) && !n.isOwnEpoch(seen.Owner) {
			return ErrSuperseded
		}
		// The claim's token must be greater than the other's, whatever the clocks say.
		if seen.live && c.token <= seen.Token {
			c.token = n.tokens.next(seen.Token)
		}
		c.asked = c.asked || seen.live && !n.isOwnEpoch(seen.Owner)
		free, state, err := n.freeEntry(ctx, c.id, seen, pool.Replaced)
		if err == nil {
			marker := free.rev != 0 && (free.rev != seen.rev || !seen.live) // the answer may have come too late
			c.rev, c.gen, c.evicted = free.rev, free.gen, c.asked && (marker || len(state) > 0)
			c.state = state
			return nil
		}
		before := seen.rev
		var readErr error
		seen, readErr = n.readEntry(ctx, n.front, c.id)
		if readErr == nil && seen.rev == before { // unchanged: the owner is silent or busy
			if !pause.wait(ctx) {
				return fmt.Errorf("%w: %w (%w)", ErrTakeoverTimeout, err, ctx.Err())
			}
			seen, readErr = n.readEntry(ctx, n.front, c.id)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w (%w)", ErrTakeoverTimeout, err, ctx.Err())
		}
		if readErr != nil {
			return readErr
		}
	}
}

// dropMarker deletes the marker that the eviction for a claim has left, or the entry that it has
// left for the claim to overwrite. The broker counts that and the entry that is to follow it, so a
// full directory would have no room for an entry as large as the one before.
func (n *Node) dropMarker(ctx context.Context, c *claim) error {
	if err := n.front.enter(ctx); err != nil {
		return err
	}
	defer n.front.leave()
	err := n.dir.of(c.id).purge(ctx, keyOf(c.id), c.rev)
	if err == nil {
		c.rev, c.evicted = 0, false
	}
	return err
}

// freeEntry returns the revision at which an entry may be overwritten, in rev and gen. If the entry's
// owner is another node that is alive, it asks the owner once to evict its session for
// the given reason. state is what the session has handed over.
func (n *Node) freeEntry(ctx context.Context, id string, seen dirEntry, why pool.Reason) (free dirEntry, state []byte, err error) {
	free = dirEntry{rev: seen.rev, gen: seen.gen}
	if !seen.live || n.isOwnEpoch(seen.Owner) {
		return free, nil, nil // admit closes an own session before it activates the next
	}
	dead, err := n.isDead(ctx, seen.Owner)
	if err != nil {
		return dirEntry{}, nil, err
	}
	if dead {
		return free, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, n.c.attempt())
	defer cancel()
	free.gen = n.generation()
	r, err := n.askOwner(ctx, seen.Owner, opEvict, request{Key: keyOf(id), id: id, Token: seen.Token, Rev: seen.rev, Reason: why})
	free.rev = r.Rev
	return free, r.State, err
}

// evict closes this node's session that a request names, and deletes its entry, which
// must have the revision that the requester has seen. It returns the revision of the
// deletion's marker, which the requester's next write expects. If there is no session
// of the ID, only the entry is deleted. If there is another session, evict returns
// errStale. state is that of closeSession. If the session has handed something over, the
// entry stays, for the requester to write over it.
func (n *Node) evict(ctx context.Context, q request, state *[]byte) (uint64, error) {
	// If the session is being activated, the lock waits until it can be closed.
	unlock, err := n.locks.lock(ctx, q.id)
	if err != nil {
		return 0, err
	}
	defer unlock()
	closed, err := n.closeSession(ctx, q.id, q.Token, q.Reason, state)
	if err != nil {
		return 0, err
	}
	if !closed {
		return 0, errStale // a later login has the ID: the requester has seen an older entry
	}
	gen := n.generation()
	if state != nil {
		*state = n.sendable(*state)
		if n.keep(q, gen, *state) {
			return q.Rev, nil
		}
	}
	rev, err := n.delEntry(ctx, q.id, q.Rev, gen, markerTTL)
	if err != nil {
		n.addCleanup(q.id, cleanup{})
	}
	return rev, err
}

// sessionRef identifies a session of this node.
type sessionRef struct {
	id    string
	token uint64
}

func (n *Node) sessionRefsLocked() []sessionRef {
	refs := make([]sessionRef, 0, len(n.sessions))
	for id, s := range n.sessions {
		refs = append(refs, sessionRef{id, s.token})
	}
	return refs
}

// closeAndCleanUp closes a session of this node, and leaves its entry to a cleanup. The caller
// has locked the ID.
func (n *Node) closeAndCleanUp(ctx context.Context, ref sessionRef, why pool.Reason) error {
	n.mu.Lock()
	s := n.sessions[ref.id]
	var cl cleanup
	if s != nil {
		cl = cleanup{rev: s.rev, gen: s.gen}
	}
	hasEntry := s != nil && s.mayHaveEntry
	n.mu.Unlock()
	closed, err := n.closeSession(ctx, ref.id, ref.token, why, nil)
	if err == nil && closed && hasEntry {
		n.addCleanup(ref.id, cl)
	}
	return err
}

// closeAll closes sessions of this node, up to maxInFlight at a time, and leaves their
// entries to cleanups.
func (n *Node) closeAll(ctx context.Context, refs []sessionRef, why pool.Reason) error {
	return parallel(ctx, refs, func(ctx context.Context, ref sessionRef) error {
		unlock, err := n.locks.lock(ctx, ref.id)
		if err != nil {
			return err
		}
		defer unlock()
		return n.closeAndCleanUp(ctx, ref, why)
	})
}
