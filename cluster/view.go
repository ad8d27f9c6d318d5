package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// peer is the last known record of an epoch.
type peer struct {
	rec      beatRecord
	rev      uint64
	seen     time.Time // when rev was received first, with a monotonic reading
	deleteAt time.Time // if the epoch is dead: not before then another node deletes its entries
}

// lease returns how long the epoch counts as alive without a heartbeat.
func (p *peer) lease() time.Duration {
	return min(time.Duration(p.rec.Lease)*time.Millisecond, maxLease)
}

// NodeInfo describes a node of the cluster.
type NodeInfo struct {
	Name     string    // Config.Name
	Epoch    string    // the node's incarnation
	Sessions int       // the number of its sessions at its last heartbeat, or now if This is true
	Seen     time.Time // when that heartbeat was received, with a monotonic reading
	This     bool      // the node whose method returned this
}

// Nodes returns the nodes that have not been declared dead, including this one, sorted
// by name. It does not ask the broker.
func (n *Node) Nodes() []NodeInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	nodes := n.nodesLocked()
	for i := range nodes {
		if nodes[i].Epoch == n.epoch {
			nodes[i].Sessions, nodes[i].This = len(n.sessions), true
		}
	}
	return nodes
}

// Count returns the number of nodes that have not been declared dead, and the number of
// their sessions. The number of sessions of another node is up to a third of its lease
// old. Count does not ask the broker.
func (n *Node) Count() (sessions, nodes int) { return count(n.Nodes()) }

// count returns the number of nodes and of their sessions.
func count(infos []NodeInfo) (sessions, nodes int) {
	for _, info := range infos {
		sessions += info.Sessions
	}
	return sessions, len(infos)
}

// nodesLocked returns the nodes that have not been declared dead, sorted by name.
func (r *reader) nodesLocked() []NodeInfo {
	var nodes []NodeInfo
	for epoch, p := range r.peers {
		if !p.rec.Dead {
			nodes = append(nodes, NodeInfo{Name: p.rec.Node, Epoch: epoch, Sessions: p.rec.Sessions, Seen: p.seen})
		}
	}
	slices.SortFunc(nodes, func(a, b NodeInfo) int {
		return strings.Compare(a.Name+"\x00"+a.Epoch, b.Name+"\x00"+b.Epoch)
	})
	return nodes
}

// checkEcho returns errStalled if the view has not received this node's own heartbeat;
// it would not receive those of others either. It does not ask the broker.
func (n *Node) checkEcho(_ context.Context, f *feed) error {
	n.mu.Lock()
	rev := n.beatRev
	n.mu.Unlock()
	return f.expect(rev)
}

// viewLoop keeps the view of the nodes' records up to date. It calls check at each beat to
// find out whether the watcher has stalled.
func (r *reader) viewLoop(check func(context.Context, *feed) error) {
	for r.ctx.Err() == nil {
		err := r.watchNodes(r.ctx, check)
		if r.ctx.Err() != nil || errors.Is(err, errResync) {
			continue
		}
		r.log.Debug("restarting the view of the nodes", "error", err)
		if errors.Is(err, errStalled) {
			r.restartWatchers() // those of Watch may have stalled too
		}
		sleep(r.ctx, 100*time.Millisecond)
	}
}

// watchNodes watches the nodes' records until the watcher must be restarted, and returns
// the reason.
func (r *reader) watchNodes(ctx context.Context, check func(context.Context, *feed) error) error {
	f := &feed{resync: r.resyncSignal()}
	before, err := r.nodes.lastRevision(ctx)
	if err != nil {
		return err
	}
	if f.w, err = r.nodes.watch(ctx); err != nil {
		return err
	}
	defer stopWatcher(f.w)
	found := make(map[string]bool) // epochs in the watcher's snapshot; nil after it
	return r.follow(ctx, f, check, func(e jetstream.KeyValueEntry) error {
		if e == nil {
			r.finishSnapshot(found)
			found = nil
			f.seen = max(f.seen, before) // the last revision may be deleted and never be received
			return nil
		}
		if found != nil {
			found[e.Key()] = true
		}
		r.update(e)
		return nil
	})
}

// update updates the view from a watcher's entry.
func (r *reader) update(e jetstream.KeyValueEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Operation() != jetstream.KeyValuePut {
		// This does not make the epoch dead; only a tombstone does.
		r.dropRecordLocked(e.Key())
		return
	}
	r.addRecordLocked(e.Key(), decode[beatRecord](e.Value()), e.Revision())
}

// addRecordLocked adds a record that was received from the broker.
func (r *reader) addRecordLocked(epoch string, rec beatRecord, rev uint64) {
	now := time.Now()
	p := r.peers[epoch]
	if p != nil && p.rev == rev {
		return // known: a new watcher sends all records again
	}
	if p == nil || p.rev < rev || !p.rec.Dead {
		next := &peer{rec: rec, rev: rev, seen: now}
		if rec.Dead {
			// The node that wrote the tombstone deletes the entries. Another one does it
			// later, if that node is interrupted.
			next.deleteAt = now.Add(jitter(r.c.LeaseTTL / 2))
		}
		r.peers[epoch] = next
		delete(r.noRecord, epoch)
		if !rec.Dead {
			r.buried.revive(epoch, rev)
		}
	}
}

// dropRecordLocked removes an epoch whose record does not exist any more. Unless it was
// dead, its node may be alive: the record may have been deleted, or have expired because
// the clock of the broker's host was set. The node finds out with its next heartbeat, and
// is not declared dead before a lease has passed.
func (r *reader) dropRecordLocked(epoch string) {
	p := r.peers[epoch]
	delete(r.peers, epoch)
	switch {
	case p == nil:
	case p.rec.Dead:
		r.buried.add(epoch, p.rev)
	case r.noRecord[epoch] == nil && !r.ownEpochs[epoch]:
		r.noRecord[epoch] = &peer{rec: p.rec, seen: time.Now()}
	}
}

// finishSnapshot removes the epochs that are not in a complete snapshot, and makes the
// view ready. It does nothing if found is nil.
func (r *reader) finishSnapshot(found map[string]bool) {
	if found == nil {
		return
	}
	r.mu.Lock()
	for epoch := range r.peers {
		if !found[epoch] {
			r.dropRecordLocked(epoch)
		}
	}
	r.mu.Unlock()
	select {
	case <-r.viewReady:
	default:
		close(r.viewReady) // only viewLoop's goroutine does this
	}
}
