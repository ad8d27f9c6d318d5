package cluster

import (
	"context"
	"time"
)

// generation returns a number that changes with each reconnection, and when the directory
// is found to be lost. A revision from an earlier generation must not be used for a write:
// the broker may have lost the stream. (A new stream's revisions are higher than all of the
// one before, as long as the clocks of the nodes that create them do not go back; see
// bucket.config.)
func (r *reader) generation() uint64 { return r.nc.Stats().Reconnects + r.losses.Load() }

// putEntry writes the entry of an ID if its last revision is rev, which is of generation
// gen, or 0 if there must be none. If the generation has changed since, it writes nothing,
// and the error is one that isConflict finds: the caller must read the entry again.
func (n *Node) putEntry(ctx context.Context, id string, e entry, rev, gen uint64) (uint64, error) {
	if err := n.back.enter(ctx); err != nil {
		return 0, err
	}
	defer n.back.leave()
	return n.putEntryNow(ctx, id, e, rev, gen)
}

// putEntryNow is putEntry for a caller that has passed a gate.
func (n *Node) putEntryNow(ctx context.Context, id string, e entry, rev, gen uint64) (uint64, error) {
	if rev != 0 && gen != n.generation() {
		return 0, errOldRevision
	}
	return n.dir.of(id).put(ctx, keyOf(id), e, rev, 0)
}

// delEntry deletes the entry of an ID as putEntry writes it. It returns the revision of the
// marker, which expires after ttl.
func (n *Node) delEntry(ctx context.Context, id string, rev, gen uint64, ttl time.Duration) (uint64, error) {
	if err := n.back.enter(ctx); err != nil {
		return 0, err
	}
	defer n.back.leave()
	if rev != 0 && gen != n.generation() {
		return 0, errOldRevision
	}
	marker, err := n.dir.of(id).del(ctx, keyOf(id), rev, ttl)
	if err == nil {
		n.deleted.add(id)
	}
	return marker, err
}
