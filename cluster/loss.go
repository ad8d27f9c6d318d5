package cluster

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// This file notices that the broker has lost the directory while the connection stayed: the
// stream was deleted or purged, or was on another broker of several, which has restarted
// without it. The nodes' records need no such look: a heartbeat is refused when the one
// before it is gone.

// lossLoop looks at the directory's streams as often as the node sends heartbeats. It is not
// done on the heartbeats' goroutine, since the answer may take long.
func (n *Node) lossLoop() {
	for sleep(n.ctx, n.c.beat()) {
		for _, p := range n.dir {
			if err := n.lookForLoss(n.ctx, p); err != nil && n.ctx.Err() == nil {
				n.log.Debug("a stream of the directory could not be looked at", "stream", p, "error", err)
			}
		}
	}
}

// lookForLoss starts a reconciliation if the stream is another one than before, or lacks
// what it had.
func (n *Node) lookForLoss(ctx context.Context, p *part) error {
	info, err := p.info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		n.directoryLost(p, "it does not exist")
		return nil
	}
	if err != nil {
		return err
	}
	first, last := info.State.FirstSeq, info.State.LastSeq
	n.mu.Lock()
	before := p.seen
	p.seen = streamState{info.Created, last}
	n.mu.Unlock()
	switch {
	case before.created.IsZero():
	case !info.Created.Equal(before.created):
		n.directoryLost(p, "it was created again")
		return nil
	case last < before.last:
		n.directoryLost(p, "its revisions begin again")
		return nil
	}
	p.knows(last)
	purged, err := n.wasPurged(ctx, p, first)
	if purged {
		n.directoryLost(p, "entries of this node are missing")
	}
	return err
}

// directoryLost makes all revisions that the node remembers worthless, and writes its
// entries again.
func (n *Node) directoryLost(p *part, how string) {
	n.log.Warn("the broker has lost the directory, or a part of it", "stream", p, "how", how)
	n.losses.Add(1)
	n.mu.Lock()
	p.oldest = 0
	n.mu.Unlock()
	n.restartWatchers() // those of Watch then report Missed
	notify(n.reconcileNow)
}

// wasPurged reports whether the stream, which begins with the revision first, lacks an
// entry of this node. It looks at the oldest one only, since a purge takes the oldest.
func (n *Node) wasPurged(ctx context.Context, p *part, first uint64) (bool, error) {
	for {
		ref, ok := n.olderThan(p, first)
		if !ok {
			return false, nil
		}
		// The entry may have been written again or deleted meanwhile.
		gen := n.generation()
		seen, err := n.readEntry(ctx, n.back, ref.id)
		if err != nil {
			return false, err
		}
		if seen.live && n.isOwnEpoch(seen.Owner) && seen.Token == ref.token && seen.rev >= first {
			n.recordEntry(ref, seen.rev, gen)
			continue
		}
		return n.has(ref.id, ref.token), nil
	}
}

// olderThan returns the session whose entry has the lowest revision in p, if that is lower
// than first. The sessions are looked through only when first has passed the revision that was
// lowest before.
func (n *Node) olderThan(p *part, first uint64) (oldest sessionRef, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if first <= p.oldest {
		return sessionRef{}, false
	}
	gen := n.generation()
	p.oldest = first // entries that are written from now on have higher revisions
	for id, s := range n.sessions {
		if s.mayHaveEntry && s.gen == gen && s.rev != 0 && s.rev < p.oldest && n.dir.of(id) == p {
			p.oldest, oldest, ok = s.rev, sessionRef{id, s.token}, true
		}
	}
	return oldest, ok
}
