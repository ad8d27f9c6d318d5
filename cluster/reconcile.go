package cluster

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// reconcileLoop reconciles the directory with this node's sessions whenever they may
// differ: after joining, when the connection or the lease is back, in a new
// incarnation, and when a node has died. It repeats a reconciliation that failed.
func (n *Node) reconcileLoop() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.reconcileNow:
		}
		for {
			err := n.reconcile(n.ctx)
			if err == nil || errors.Is(err, errNoLease) { // another one follows when the lease is back
				break
			}
			n.log.Debug("reconciliation failed and is repeated", "error", err)
			if !sleep(n.ctx, n.c.attempt()/2) {
				return
			}
		}
	}
}

// reconcilePlan holds what a pass over the directory has found to do.
type reconcilePlan struct {
	restore       []restoreItem   // sessions without an entry, or whose ID has another one
	stale         []staleEntry    // entries of dead epochs
	unknownEpochs map[string]bool // epochs that have entries and no record
	deadEpochs    map[string]bool // epochs whose entries this node deletes
}

type restoreItem struct {
	sessionRef
	seen dirEntry
}

type staleEntry struct {
	id       string
	rev, gen uint64
}

// reconcile reads the entries of this node's sessions, or the whole directory if this node
// must look after those of others, in one pass, and then corrects the differences, many
// entries at a time. It never writes with a revision that this node remembers from
// before an outage: the stream may have been lost, and in the one that replaced it the
// revision may be that of another node's entry.
func (n *Node) reconcile(ctx context.Context) (err error) {
	start := time.Now()
	if n.State() != Active {
		return errNoLease
	}
	if err := n.ensure(ctx); err != nil {
		return err
	}
	full, err := n.mustScan(ctx)
	if err != nil {
		return err
	}
	if n.rescan.Swap(false) {
		full = true
		defer func() {
			if err != nil {
				n.rescan.Store(true)
			}
		}()
	}
	read := n.planOwn
	if full {
		read = n.plan
	}
	p, pass, err := read(ctx)
	if err != nil {
		return err
	}
	p.restore = append(p.restore, n.withoutEntry(pass)...)
	if len(p.restore) > 0 && !full { // entries were lost, so others may be back
		n.checkDeletions()
	}
	err = errors.Join(
		parallel(ctx, p.restore, func(ctx context.Context, r restoreItem) error {
			return n.restore(ctx, r.sessionRef, r.seen)
		}),
		n.deleteStale(ctx, p),
		n.checkUnknown(ctx, p.unknownEpochs),
	)
	if full && err == nil {
		n.scanned()
	}
	n.log.Debug("compared the directory with the sessions", "whole", full, "took", time.Since(start), "error", err)
	if len(p.restore)+len(p.stale)+len(p.unknownEpochs) > 0 {
		n.log.Info("reconciled the directory", "restored", len(p.restore), "deleted", len(p.stale),
			"unknown", len(p.unknownEpochs), "took", time.Since(start), "error", err)
	}
	return err
}

// beatsOfALease is the number of heartbeats in a lease.
const beatsOfALease = 3

// mustScan reports whether this node must read the whole directory. It must if it has to
// delete the entries of a dead node; if all nodes have just joined, and it is the one that
// looks for entries of nodes that are no longer known; or if the broker has lost its last
// writes, so that entries that this node has deleted may be back.
func (n *Node) mustScan(ctx context.Context) (bool, error) {
	lost := false
	for _, p := range n.dir {
		known := p.known.Load()
		last, err := p.lastRevision(ctx)
		if err != nil {
			return false, err
		}
		if last < known {
			p.known.CompareAndSwap(known, last)
			lost = true
		}
	}
	if lost {
		return true, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	for epoch, p := range n.peers {
		switch {
		case p.rec.Dead && n.mustReapLocked(p, now):
			return true, nil
		case !p.rec.Dead && p.rec.Beat >= beatsOfALease && epoch != n.epoch:
			n.hasScanned = true // there is one that has been here for longer
		}
	}
	return !n.hasScanned && n.isFirstLocked(), nil
}

// scanned notes that the whole directory was read.
func (n *Node) scanned() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hasScanned = true
}

// planOwn reads the entries of this node's sessions and compares them. It returns the number
// of the pass too. Its cost does not depend on the sessions of other nodes.
func (n *Node) planOwn(ctx context.Context) (*reconcilePlan, uint64, error) {
	p := &reconcilePlan{unknownEpochs: make(map[string]bool), deadEpochs: make(map[string]bool)}
	n.mu.Lock()
	n.passes++
	pass := n.passes
	own := make(map[*part][]ownKey, len(n.dir))
	for id, s := range n.sessions {
		part := n.dir.of(id)
		own[part] = append(own[part], ownKey{keyOf(id), s.rev})
	}
	n.mu.Unlock()
	for part, keys := range own {
		if err := n.planKeys(ctx, p, pass, part, keys); err != nil {
			return nil, 0, err
		}
	}
	return p, pass, nil
}

// ownKey is the key of a session of this node, and the revision that its entry had.
type ownKey struct {
	key string
	rev uint64
}

// planKeys reads entries of one part of the directory and compares them.
func (n *Node) planKeys(ctx context.Context, p *reconcilePlan, pass uint64, part *part, own []ownKey) error {
	// Entries that were written together lie together in the broker's files.
	slices.SortFunc(own, func(a, b ownKey) int { return cmp.Compare(a.rev, b.rev) })
	for len(own) > 0 {
		var keys []string
		for bytes := 0; len(own) > 0 && len(keys) < maxBatch && bytes < maxBatchBytes; own = own[1:] {
			keys = append(keys, own[0].key)
			bytes += len(own[0].key)
		}
		gen := n.generation()
		found, err := part.getMany(ctx, keys)
		if err != nil {
			return err
		}
		n.mu.Lock()
		for key, f := range found {
			if id, _ := idOf(key); f.live && n.sessions[id] != nil {
				n.planLocked(p, pass, gen, key, f.rev, decode[entry](f.data))
			}
		}
		n.mu.Unlock()
	}
	return nil
}

// plan reads the directory and compares it with this node's sessions. It returns the
// number of the pass too.
func (n *Node) plan(ctx context.Context) (*reconcilePlan, uint64, error) {
	p := &reconcilePlan{unknownEpochs: make(map[string]bool), deadEpochs: make(map[string]bool)}
	n.mu.Lock()
	n.passes++
	pass := n.passes
	now := time.Now()
	for epoch, peer := range n.peers {
		if peer.rec.Dead && n.mustReapLocked(peer, now) {
			p.deadEpochs[epoch] = true
		}
	}
	n.mu.Unlock()
	gen := n.generation()
	err := n.scan(ctx, func(key string, rev uint64, e entry) bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.planLocked(p, pass, gen, key, rev, e)
		return true
	})
	return p, pass, err
}

// planLocked compares one entry.
func (n *Node) planLocked(p *reconcilePlan, pass, gen uint64, key string, rev uint64, e entry) {
	id, ok := idOf(key)
	if !ok {
		return // not written by this package
	}
	s := n.sessions[id]
	switch owner := n.peers[e.Owner]; {
	case s != nil && e.Owner == n.epoch && e.Token == s.token:
		s.rev, s.gen, s.seenPass = rev, gen, pass
	case s != nil:
		s.seenPass = pass
		p.restore = append(p.restore, restoreItem{sessionRef{id, s.token}, dirEntry{entry: e, rev: rev, gen: gen, live: true}})
	case n.ownEpochs[e.Owner]: // no session, or its claim is in progress and holds the lock
		n.addCleanupLocked(id, cleanup{})
	case p.deadEpochs[e.Owner]:
		p.stale = append(p.stale, staleEntry{id, rev, gen})
	case owner == nil:
		p.unknownEpochs[e.Owner] = true
	}
}

// withoutEntry returns the sessions that existed before the pass and have no entry.
func (n *Node) withoutEntry(pass uint64) []restoreItem {
	n.mu.Lock()
	defer n.mu.Unlock()
	var lost []restoreItem
	for id, s := range n.sessions {
		if s.bornPass < pass && s.seenPass != pass {
			lost = append(lost, restoreItem{sessionRef: sessionRef{id, s.token}})
		}
	}
	return lost
}
