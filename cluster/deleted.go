package cluster

import (
	"sync"
	"time"
)

// A broker that is killed may have entries again that were deleted. It stores at once that
// the marker of a deletion has expired, but that the entry before the marker is gone only
// with its index, every two minutes or a little more (NATS 2.15). The stream's last revision
// does not tell. And of several brokers, one that leads with a damaged store may say that an
// entry is gone which the others still have. So a node remembers whose entries it has deleted
// lately, or did not find when it was to delete them. It looks for them when it has connected
// again, and when sessions of its own lack their entries.

const (
	// rememberDeletions is how long a deletion is remembered at least. It may be twice as long.
	rememberDeletions = 3 * time.Minute
	// maxDeletions is how many IDs are remembered in that time.
	maxDeletions = 1 << 16
)

// deletions are the IDs whose entries this node has deleted lately, or was to delete. The zero value is ready
// for use.
type deletions struct {
	mu sync.Mutex
	// Guarded by mu: two spans of time, of which the older one is dropped when the newer one
	// is over.
	newer, older map[string]bool
	begun        time.Time // of newer
}

// add remembers an ID.
func (d *deletions) add(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.newer == nil || now.Sub(d.begun) > rememberDeletions {
		d.older, d.newer, d.begun = d.newer, make(map[string]bool), now
	}
	if len(d.newer) <= maxDeletions {
		d.newer[id] = true
	}
}

// recent returns the IDs, and whether they are all.
func (d *deletions) recent() (ids []string, all bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range d.newer {
		ids = append(ids, id)
	}
	for id := range d.older {
		if !d.newer[id] {
			ids = append(ids, id)
		}
	}
	return ids, max(len(d.newer), len(d.older)) <= maxDeletions
}

// checkDeletions has cleanupLoop look for entries that were deleted lately, or the next
// reconciliation read the whole directory if there are too many of them.
func (n *Node) checkDeletions() {
	ids, all := n.deleted.recent()
	if !all {
		n.rescan.Store(true)
		notify(n.reconcileNow)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range ids {
		if _, pending := n.cleanups[id]; !pending {
			n.addCleanupLocked(id, cleanup{})
		}
	}
}
