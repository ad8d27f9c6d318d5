package cluster

import (
	"context"
	"errors"
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

// lease is how long the epoch counts as alive when it is silent.
func (p *peer) lease() time.Duration {
	return min(time.Duration(p.rec.Lease)*time.Millisecond, maxLease)
}

// NodeInfo is what a node knows of another, or of itself.
type NodeInfo struct {
	Name     string
	Epoch    string    // its incarnation
	Sessions int       // how many it had at its last heartbeat
	Seen     time.Time // when that came, with a monotonic reading
	This     bool      // it is the node that was asked
}

// Nodes are the nodes that have not been declared dead, this one included, by name.
func (n *Node) Nodes() []NodeInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	nodes := n.nodesLocked()
	for i := range nodes {
		if nodes[i].Epoch == n.epoch {
			nodes[i].Sessions, nodes[i].This = len(n.held), true
		}
	}
	return nodes
}

// Count is how many sessions the nodes of [Node.Nodes] have, and how many nodes
// that are. What it says of other nodes is up to a third of their lease old. It
// asks nobody.
func (n *Node) Count() (sessions, nodes int) { return count(n.Nodes()) }

func count(infos []NodeInfo) (sessions, nodes int) {
	for _, info := range infos {
		sessions += info.Sessions
	}
	return sessions, len(infos)
}

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

// echo is the watchdog of a node's view, which costs no question: if the node's own
// heartbeat does not come back, what others send would not come either.
func (n *Node) echo(_ context.Context, f *feed) error {
	n.mu.Lock()
	rev := n.beatRev
	n.mu.Unlock()
	return f.written(rev)
}

// viewLoop keeps the view of the nodes' records.
func (r *reader) viewLoop(look func(context.Context, *feed) error) {
	for r.ctx.Err() == nil {
		err := r.view(r.ctx, look)
		if r.ctx.Err() != nil || errors.Is(err, errResync) {
			continue
		}
		r.log.Debug("the view of the nodes begins anew", "error", err)
		if errors.Is(err, errDeaf) {
			r.rebuildWatchers() // those of Watch may be as deaf
		}
		sleep(r.ctx, 100*time.Millisecond)
	}
}

// view watches the nodes' records until there is a reason to begin anew.
func (r *reader) view(ctx context.Context, look func(context.Context, *feed) error) error {
	f := &feed{resync: r.resyncing()}
	before, err := r.nodes.lastRevision(ctx)
	if err != nil {
		return err
	}
	if f.w, err = r.nodes.watch(ctx); err != nil {
		return err
	}
	defer stopWatcher(f.w)
	found := make(map[string]bool) // in the watcher's snapshot; nil after it
	return r.follow(ctx, f, look, func(e jetstream.KeyValueEntry) error {
		if e == nil {
			r.viewWhole(found)
			found = nil
			f.seen = max(f.seen, before) // what was written last may be gone already
			return nil
		}
		if found != nil {
			found[e.Key()] = true
		}
		r.saw(e)
		return nil
	})
}

// saw takes what a watcher tells.
func (r *reader) saw(e jetstream.KeyValueEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Operation() != jetstream.KeyValuePut {
		// No verdict: an epoch without a record is dead only by a certificate.
		r.missLocked(e.Key())
		return
	}
	r.learnLocked(e.Key(), decode[beatRecord](e.Value()), e.Revision())
}

// learnLocked takes a record that the broker has shown.
func (r *reader) learnLocked(epoch string, rec beatRecord, rev uint64) {
	now := time.Now()
	p := r.peers[epoch]
	if p != nil && p.rev == rev {
		return // seen before; a new watcher shows everything again
	}
	if p == nil || p.rev < rev || !p.rec.Dead {
		next := &peer{rec: rec, rev: rev, seen: now}
		if rec.Dead {
			// Whoever certified the death deletes the entries. The others do it later,
			// in case that was interrupted.
			next.reap = now.Add(jitter(r.c.LeaseTTL / 2))
		}
		r.peers[epoch] = next
		delete(r.missed, epoch)
	}
}

// missLocked drops an epoch that has no record any more. Unless it was dead, its
// node may live: the record may have been deleted, or have expired as the clock of
// the broker's host was set. That node will know with its next heartbeat, and is
// given its lease until then.
func (r *reader) missLocked(epoch string) {
	p := r.peers[epoch]
	delete(r.peers, epoch)
	if p != nil && !p.rec.Dead && r.missed[epoch] == nil && !r.mine[epoch] {
		r.missed[epoch] = &peer{rec: p.rec, seen: time.Now()}
	}
}

// viewWhole drops what a whole snapshot did not show.
func (r *reader) viewWhole(found map[string]bool) {
	if found == nil {
		return
	}
	r.mu.Lock()
	for epoch := range r.peers {
		if !found[epoch] {
			r.missLocked(epoch)
		}
	}
	r.mu.Unlock()
	select {
	case <-r.viewed:
	default:
		close(r.viewed) // viewLoop's goroutine alone comes here
	}
}
