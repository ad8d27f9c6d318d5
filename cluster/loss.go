package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// This file notices that the broker has lost the directory while the connection stayed: the
// stream was deleted or purged, or was on another broker of several, which has restarted
// without it. The nodes' records need no such look: a heartbeat is refused when the one
// before it is gone.

// dirState is what a node has last seen of the directory's stream.
type dirState struct {
	created time.Time // the zero time: not seen yet
	last    uint64    // its last revision
}

// lossLoop looks at the directory's stream as often as the node sends heartbeats. It is not
// done on the heartbeats' goroutine, since the answer may take long.
func (n *Node) lossLoop() {
	for sleep(n.ctx, n.c.beat()) {
		if err := n.lookForLoss(n.ctx); err != nil && n.ctx.Err() == nil {
			n.log.Debug("the directory's stream could not be looked at", "error", err)
		}
	}
}

// lookForLoss starts a reconciliation if the stream is another one than before, or lacks
// what it had.
func (n *Node) lookForLoss(ctx context.Context) error {
	info, err := n.dir.info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		n.directoryLost("it does not exist")
		return nil
	}
	if err != nil {
		return err
	}
	first, last := info.State.FirstSeq, info.State.LastSeq
	n.mu.Lock()
	before := n.dirState
	n.dirState = dirState{info.Created, last}
	n.mu.Unlock()
	switch {
	case before.created.IsZero():
	case !info.Created.Equal(before.created):
		n.directoryLost("it was created again")
		return nil
	case last < before.last:
		n.directoryLost("its revisions begin again")
		return nil
	}
	n.knows(last)
	purged, err := n.wasPurged(ctx, first)
	if purged {
		n.directoryLost("entries of this node are missing")
	}
	return err
}

// directoryLost makes all revisions that the node remembers worthless, and writes its
// entries again.
func (n *Node) directoryLost(how string) {
	n.log.Warn("the broker has lost the directory", "how", how)
	n.losses.Add(1)
	n.mu.Lock()
	n.oldest = 0
	n.mu.Unlock()
	n.restartWatchers() // those of Watch then report Missed
	notify(n.reconcileNow)
}

// wasPurged reports whether the stream, which begins with the revision first, lacks an
// entry of this node. It looks at the oldest one only, since a purge takes the oldest.
func (n *Node) wasPurged(ctx context.Context, first uint64) (bool, error) {
	for {
		ref, ok := n.olderThan(first)
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

// olderThan returns the session whose entry has the lowest revision, if that is lower than
// first. The sessions are looked through only when first has passed the revision that was
// lowest before.
func (n *Node) olderThan(first uint64) (oldest sessionRef, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if first <= n.oldest {
		return sessionRef{}, false
	}
	gen := n.generation()
	n.oldest = first // entries that are written from now on have higher revisions
	for id, s := range n.sessions {
		if s.mayHaveEntry && s.gen == gen && s.rev != 0 && s.rev < n.oldest {
			n.oldest, oldest, ok = s.rev, sessionRef{id, s.token}, true
		}
	}
	return oldest, ok
}
