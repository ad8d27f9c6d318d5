package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// peer is the last that was seen of an epoch.
type peer struct {
	rec  beatRecord
	rev  uint64
	seen time.Time // when rev was seen first, by this node's monotonic clock
	reap time.Time // of a dead one: from when on this node deletes its entries
}

// NodeInfo is what a node knows of another, or of itself.
type NodeInfo struct {
	Name     string
	Epoch    string    // its incarnation
	Sessions int       // how many it had at its last heartbeat
	Seen     time.Time // when that came, with a monotonic reading
}

// Nodes are the nodes that have not been declared dead, this one included, by name.
func (n *Node) Nodes() []NodeInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	var nodes []NodeInfo
	for epoch, p := range n.peers {
		if p.rec.Dead {
			continue
		}
		info := NodeInfo{Name: p.rec.Node, Epoch: epoch, Sessions: p.rec.Sessions, Seen: p.seen}
		if epoch == n.epoch {
			info.Sessions = len(n.held)
		}
		nodes = append(nodes, info)
	}
	slices.SortFunc(nodes, func(a, b NodeInfo) int {
		return strings.Compare(a.Name+"\x00"+a.Epoch, b.Name+"\x00"+b.Epoch)
	})
	return nodes
}

// Count is how many sessions the nodes of [Node.Nodes] have, and how many nodes
// that are. What it says of other nodes is up to a third of their lease old. It
// asks nobody.
func (n *Node) Count() (sessions, nodes int) {
	for _, info := range n.Nodes() {
		sessions += info.Sessions
		nodes++
	}
	return sessions, nodes
}

// viewLoop keeps the view of the nodes' records.
func (n *Node) viewLoop() {
	for n.ctx.Err() == nil {
		if err := n.view(n.ctx); err != nil && n.ctx.Err() == nil {
			n.log.Debug("the view of the nodes begins anew", "error", err)
			sleep(n.ctx, 100*time.Millisecond)
		}
	}
}

// errDeaf ends a watcher that does not bring the node's own heartbeats.
var errDeaf = errors.New("cluster: a watcher went deaf")

// view watches the nodes' records until there is a reason to begin anew. The
// watchdog is the node's own heartbeat: if that does not come back, what others
// send would not come either.
func (n *Node) view(ctx context.Context) error {
	resync := n.resyncing()
	w, err := n.nodes.watch(ctx)
	if err != nil {
		return err
	}
	defer stopWatcher(w)
	deaf := time.NewTimer(n.c.gap())
	defer deaf.Stop()
	found := make(map[string]bool) // in the watcher's snapshot; nil after it
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-resync:
			return nil
		case <-deaf.C:
			n.rebuildWatchers() // those of Watch have no watchdog of their own
			return errDeaf
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return fmt.Errorf("%w: the watcher ended", errDeaf)
			case e == nil:
				n.viewWhole(found)
				found = nil
				continue
			case found != nil:
				found[e.Key()] = true
			}
			if n.saw(e) {
				deaf.Reset(n.c.gap())
			}
		}
	}
}

// saw takes what a watcher tells; true for a heartbeat of this incarnation.
func (n *Node) saw(e jetstream.KeyValueEntry) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e.Operation() != jetstream.KeyValuePut {
		// No verdict: an epoch without a record is dead only by a certificate.
		n.missLocked(e.Key())
		return false
	}
	n.learnLocked(e.Key(), decode[beatRecord](e.Value()), e.Revision())
	return e.Key() == n.epoch
}

// learnLocked takes a record that the broker has shown.
func (n *Node) learnLocked(epoch string, rec beatRecord, rev uint64) {
	now := time.Now()
	p := n.peers[epoch]
	if p != nil && p.rev == rev {
		return // seen before; a new watcher shows everything again
	}
	if p == nil || p.rev < rev || !p.rec.Dead {
		next := &peer{rec: rec, rev: rev, seen: now}
		if rec.Dead {
			// Whoever certified the death deletes the entries. The others do it later,
			// in case that was interrupted.
			next.reap = now.Add(jitter(n.c.LeaseTTL / 2))
		}
		n.peers[epoch] = next
		delete(n.missed, epoch)
	}
}

// missLocked drops an epoch that has no record any more. Unless it was dead, its
// node may live: the record may have been deleted, or have expired as the clock of
// the broker's host was set. That node will know with its next heartbeat, and is
// given its lease until then.
func (n *Node) missLocked(epoch string) {
	p := n.peers[epoch]
	delete(n.peers, epoch)
	if p != nil && !p.rec.Dead && n.missed[epoch] == nil && !n.mine[epoch] {
		n.missed[epoch] = &peer{rec: p.rec, seen: time.Now()}
	}
}

// viewWhole drops what a whole snapshot did not show.
func (n *Node) viewWhole(found map[string]bool) {
	if found == nil {
		return
	}
	n.mu.Lock()
	for epoch := range n.peers {
		if !found[epoch] {
			n.missLocked(epoch)
		}
	}
	n.mu.Unlock()
	select {
	case <-n.viewed:
	default:
		close(n.viewed) // viewLoop's goroutine alone comes here
	}
}
