package cluster

import (
	"context"
	"errors"
	"time"
)

// sweepLoop makes the directory and this node's sessions agree, whenever there is
// reason to think that they might not: after joining, when the connection or the
// lease is back, in a new incarnation, and when a node has died. What fails or is
// interrupted is done again.
func (n *Node) sweepLoop() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.wantSweep:
		}
		for {
			err := n.sweep(n.ctx)
			if err == nil || errors.Is(err, errLapsed) { // the lease's return wants another
				break
			}
			n.log.Debug("a sweep failed and is done again", "error", err)
			if !sleep(n.ctx, n.c.attempt()/2) {
				return
			}
		}
	}
}

// mending is what a sweep has found to do.
type mending struct {
	restore []restoration   // sessions whose entry is missing or another
	reap    []listing       // entries of dead epochs
	unknown map[string]bool // epochs that have entries and no record
	dead    map[string]bool // epochs whose entries are to be deleted
}

type restoration struct {
	tenure
	seen standing
}

type listing struct {
	key string
	rev uint64
}

// sweep reads the directory in one pass, and then mends what differs, many entries
// at once. It reads before it writes whatever this node remembers: revisions from
// before an outage may belong to a stream that was lost, and mean another's entry
// in the one that has taken its place.
func (n *Node) sweep(ctx context.Context) error {
	start := time.Now()
	if n.State() != Active {
		return errLapsed
	}
	if err := n.ensure(ctx); err != nil {
		return err
	}
	m, sweep, err := n.compare(ctx)
	if err != nil {
		return err
	}
	m.restore = append(m.restore, n.missing(sweep)...)
	err = errors.Join(
		parallel(ctx, m.restore, func(ctx context.Context, r restoration) error {
			return n.restore(ctx, r.tenure, r.seen)
		}),
		n.reap(ctx, m),
		n.identify(ctx, m.unknown),
	)
	if len(m.restore)+len(m.reap)+len(m.unknown) > 0 {
		n.log.Info("swept the directory", "restored", len(m.restore), "reaped", len(m.reap),
			"unknown", len(m.unknown), "took", time.Since(start), "error", err)
	}
	return err
}

// compare reads the directory.
func (n *Node) compare(ctx context.Context) (*mending, uint64, error) {
	m := &mending{unknown: make(map[string]bool), dead: make(map[string]bool)}
	n.mu.Lock()
	n.sweeps++
	sweep := n.sweeps
	now := time.Now()
	for epoch, p := range n.peers {
		if p.rec.Dead && !now.Before(p.reap) {
			m.dead[epoch] = true
		}
	}
	n.mu.Unlock()
	gen := n.generation()
	err := n.scan(ctx, func(key string, rev uint64, e entry) bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.compareLocked(m, sweep, gen, key, rev, e)
		return true
	})
	return m, sweep, err
}

func (n *Node) compareLocked(m *mending, sweep, gen uint64, key string, rev uint64, e entry) {
	id, ok := idOf(key)
	if !ok {
		return // not of this package
	}
	h := n.held[id]
	switch p := n.peers[e.Owner]; {
	case h != nil && e.Owner == n.epoch && e.Token == h.token:
		h.rev, h.gen, h.seen = rev, gen, sweep
	case h != nil:
		h.seen = sweep
		m.restore = append(m.restore, restoration{tenure{id, h.token}, standing{entry: e, rev: rev, live: true}})
	case n.mine[e.Owner]: // without a session; or its claim is under way, and holds the lock
		n.choreLocked(id, chore{})
	case m.dead[e.Owner]:
		m.reap = append(m.reap, listing{key, rev})
	case p == nil:
		m.unknown[e.Owner] = true
	}
}

// missing are the sessions that were there before the sweep and have no entry.
func (n *Node) missing(sweep uint64) []restoration {
	n.mu.Lock()
	defer n.mu.Unlock()
	var lost []restoration
	for id, h := range n.held {
		if h.born < sweep && h.seen != sweep {
			lost = append(lost, restoration{tenure: tenure{id, h.token}})
		}
	}
	return lost
}
