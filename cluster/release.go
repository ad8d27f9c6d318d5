package cluster

import (
	"context"
	"maps"
	"slices"
	"time"
)

// chore is an ID under which the directory may have an entry of this node's
// without a session, to be deleted. Whether it has is found out with the ID
// locked: an entry of this node's is right exactly if the node holds the ID.
type chore struct {
	rev uint64 // of the entry; 0: not known
	gen uint64 // the generation of rev

	// A claim was given up without an answer: it may still be written, as long as
	// the entry's revision is expected.
	doubt    bool
	expected uint64

	seq uint64 // tells it from others of the same ID
}

// Release gives up the entry of a session that has ended: at once for this node,
// and in the background for the directory, again and again until the broker has
// taken note. It does nothing if the session with that token was evicted, or
// replaced.
func (n *Node) Release(id string, token uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.held[id]
	if h == nil || h.token != token {
		return
	}
	delete(n.held, id)
	if h.listed {
		n.choreLocked(id, chore{rev: h.rev, gen: h.gen})
	}
}

func (n *Node) tidyUp(id string, ch chore) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.choreLocked(id, ch)
}

func (n *Node) choreLocked(id string, ch chore) {
	if old, ok := n.chores[id]; ok && old.doubt && !ch.doubt {
		ch.doubt, ch.expected = true, old.expected
	}
	n.choresMade++
	ch.seq = n.choresMade
	n.chores[id] = ch
	poke(n.wantTidy)
}

// tidyLoop does the chores.
func (n *Node) tidyLoop() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.wantTidy:
		}
		for n.tidy(n.ctx) != nil {
			if !sleep(n.ctx, n.c.attempt()/2) {
				return
			}
		}
	}
}

// tidy does the chores that there are. They stay until they are done.
func (n *Node) tidy(ctx context.Context) error {
	n.mu.Lock()
	chores := maps.Clone(n.chores)
	n.mu.Unlock()
	return parallel(ctx, slices.Collect(maps.Keys(chores)), func(ctx context.Context, id string) error {
		err := n.settle(ctx, id, chores[id])
		n.mu.Lock()
		defer n.mu.Unlock()
		switch ch := n.chores[id]; {
		case ch.seq != chores[id].seq: // another has come
		case err == nil:
			delete(n.chores, id)
		default:
			ch.rev = 0 // whatever has happened to it: read before the next attempt
			n.chores[id] = ch
		}
		return err
	})
}

// settle deletes the entry of this node's that an ID has, unless there is a session
// again.
func (n *Node) settle(ctx context.Context, id string, ch chore) error {
	ctx, cancel := context.WithTimeout(ctx, 3*n.c.attempt())
	defer cancel()
	unlock, err := n.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	n.mu.Lock()
	h := n.held[id]
	n.mu.Unlock()
	if h != nil {
		if ch.doubt {
			return n.reassert(ctx, id, h)
		}
		return nil // whose claim has overwritten the entry, or whose sweep will
	}
	if ch.rev != 0 && ch.gen == n.generation() {
		if _, err := n.dir.del(ctx, keyOf(id), ch.rev, markerTTL); err == nil {
			return nil
		}
	}
	for {
		err := n.clear(ctx, id, ch)
		if !isConflict(err) { // with one, what was sent before was written in between
			return err
		}
	}
}

// clear deletes what the directory has of this node's under an ID. The caller has
// locked the ID.
func (n *Node) clear(ctx context.Context, id string, ch chore) error {
	seen, err := n.entry(ctx, id)
	switch {
	case err != nil:
		return err
	case seen.live && n.isMine(seen.Owner):
		_, err = n.dir.del(ctx, keyOf(id), seen.rev, markerTTL)
	case ch.doubt && seen.rev == ch.expected:
		// The write in doubt would still find what it expects. So that revision is
		// used up, and the marker stays for longer than a message can be on its way.
		_, err = n.dir.del(ctx, keyOf(id), seen.rev, max(n.c.LeaseTTL, 10*time.Second))
	}
	return err
}

// reassert writes the entry of a session that this node has kept although a later
// login of its ID may have written its own, and was given up. It uses up the
// revision that the write in doubt expects. The caller has locked the ID.
func (n *Node) reassert(ctx context.Context, id string, h *held) error {
	seen, err := n.entry(ctx, id)
	if err != nil {
		return err
	}
	epoch, state := n.standing()
	if state != Active || !seen.live || !n.isMine(seen.Owner) {
		return nil // the sweep that follows sees to it
	}
	rev, err := n.dir.put(ctx, keyOf(id), entry{Owner: epoch, Node: n.c.Name, Token: h.token, Since: h.since, Meta: h.meta}, seen.rev, 0)
	if err == nil {
		n.listed(tenure{id, h.token}, rev)
	}
	return err
}
