package cluster

import (
	"context"
	"time"
)

// This file is about the order of claims. Of all claims of an ID, the one that began last
// counts, however long any of them waits: a client that gave up a login and began
// another one would otherwise lose the second to the first.
//
// On one node the order is exact: a claim that begins ends the waiting of the earlier
// ones. Between nodes the times are compared at which the claims began, by the clock of
// each node, and only if the claims overlapped. Otherwise a node whose clock is ahead
// would keep others from its IDs.

// soonAfter is how long after its beginning a claim takes what it finds for older than
// itself.
const soonAfter = 100 * time.Millisecond

// beginClaim fixes the place of a claim. It returns a context that ends with ctx, when a
// later claim of the ID begins, or in Leave. end must be called when the claim has ended.
func (n *Node) beginClaim(ctx context.Context, c *claim) (turn context.Context, end func(), err error) {
	turn, c.cancel = context.WithCancelCause(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closing {
		c.cancel(nil)
		return nil, nil, ErrLeft
	}
	n.claiming.Add(1)
	c.start = time.Now()
	c.began = c.start.UnixMicro()
	c.known = n.dir.of(c.id).known.Load()
	c.token = n.tokens.next(0)
	if earlier := n.claims[c.id]; earlier != nil {
		earlier.cancel(ErrSuperseded)
	}
	n.claims[c.id] = c
	return turn, func() { n.endClaim(c) }, nil
}

func (n *Node) endClaim(c *claim) {
	c.cancel(nil)
	n.mu.Lock()
	if n.claims[c.id] == c {
		delete(n.claims, c.id)
	}
	n.mu.Unlock()
	n.claiming.Done()
}

// meets notes what the claim has read first. If the claim has only just begun, the entry
// is older than it.
func (c *claim) meets(seen dirEntry, err error) {
	if err != nil || c.met {
		return
	}
	c.met = true
	if time.Since(c.start) < soonAfter {
		c.known = max(c.known, seen.rev)
	}
}

// isBefore reports whether an entry is that of a claim that began later and overlapped
// with c.
func (c *claim) isBefore(seen dirEntry) bool {
	return seen.live && seen.rev > c.known && seen.Began > c.began
}
