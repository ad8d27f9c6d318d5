package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// recordTTL is how long a record outlives its last heartbeat: others declare its
// node dead long before. It is there for a cluster of which nobody is left to do
// that. The broker counts it by the wall clock of its host, and whoever sets that
// forward by as much ends the records of nodes that live.
const recordTTL = 24 * time.Hour

// newEpoch begins an incarnation: a record of its own, and a lease.
func (n *Node) newEpoch(ctx context.Context) error {
	epoch := n.c.Name + "_" + rand.Text()
	// The node answers before anybody can know that it is there.
	sub, err := n.nc.Subscribe(n.c.Namespace+".node."+epoch+".*", n.serve)
	if err != nil {
		return unavailable(err)
	}
	sent := time.Now()
	rev, err := n.nodes.put(ctx, epoch, n.record(0), 0, recordTTL)
	if err != nil {
		_ = sub.Unsubscribe() // nobody knows of it
		return err
	}
	n.mu.Lock()
	old := n.sub
	n.epoch, n.sub, n.mine[epoch] = epoch, sub, true
	n.beatRev, n.beats = rev, 1
	n.renewedLocked(sent)
	n.clocks = time.Now() // what the last incarnation saw ended with it
	n.mu.Unlock()
	if old != nil {
		_ = old.Unsubscribe() // fails on a connection that is gone, and the subscription with it
	}
	n.log.Info("joined", "epoch", epoch)
	return nil
}

func (n *Node) record(beat uint64) beatRecord {
	n.mu.Lock()
	defer n.mu.Unlock()
	return beatRecord{Node: n.c.Name, Beat: beat, Sessions: len(n.held), Lease: n.c.LeaseTTL.Milliseconds()}
}

// renewedLocked counts the lease from when the heartbeat was sent: whoever sees it
// does so later, and waits for all of it.
func (n *Node) renewedLocked(sent time.Time) {
	n.leaseUntil = sent.Add(n.c.validity())
	n.lapsed = false
	n.lastBeat = sent
}

// beatLoop renews the lease. Nothing that may take long runs on its goroutine.
func (n *Node) beatLoop() {
	t := time.NewTimer(n.c.beat())
	defer t.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.wantBeat:
		case <-t.C:
		}
		if err := n.beat(n.ctx); err != nil && n.ctx.Err() == nil {
			n.log.Debug("heartbeat failed", "error", err)
			t.Reset(jitter(min(n.c.beat()/8, 300*time.Millisecond)))
		} else {
			t.Reset(jitter(n.c.beat()))
		}
	}
}

// beat renews the lease by a compare-and-set on the heartbeat before. A death
// certificate is one on the same revision, so that one of the two fails.
func (n *Node) beat(ctx context.Context) error {
	n.mu.Lock()
	epoch, rev, beat := n.epoch, n.beatRev, n.beats
	n.mu.Unlock()
	sent := time.Now()
	next, err := n.nodes.put(ctx, epoch, n.record(beat), rev, recordTTL)
	switch {
	case err == nil:
		n.renewed(sent, next)
		return nil
	case isConflict(err):
		return n.disputed(ctx, epoch)
	case isNoStream(err) && n.nc.IsConnected() && n.nodes.isGone(ctx):
		// The broker has lost its memory. So the chain of heartbeats is lost, and with
		// it what others may have said of this epoch.
		n.log.Warn("the broker has lost the directory")
		if err := n.ensure(ctx); err != nil {
			return err
		}
		return n.rejoin(ctx)
	}
	return err
}

func (n *Node) renewed(sent time.Time, rev uint64) {
	n.mu.Lock()
	regained := n.lapsed
	// Whoever could not renew its own lease cannot say that others did not try:
	// when a quorum comes back, the first to write would declare all others dead.
	// So everybody's clock starts again.
	if sent.Sub(n.lastBeat) > n.c.gap() {
		n.clocks = time.Now()
	}
	n.beatRev = rev
	n.beats++
	n.renewedLocked(sent)
	n.mu.Unlock()
	if regained {
		n.log.Info("lease regained")
		poke(n.wantSweep)
	}
}

// disputed finds out why a heartbeat was refused.
func (n *Node) disputed(ctx context.Context, epoch string) error {
	f, err := n.nodes.get(ctx, epoch)
	if err != nil {
		return err
	}
	if f.live && !decode[beatRecord](f.data).Dead {
		// The node's own heartbeat, whose acknowledgement was lost.
		n.mu.Lock()
		n.beatRev = f.rev
		n.mu.Unlock()
		return fmt.Errorf("%w to the last heartbeat, which was written", ErrUnavailable)
	}
	n.log.Warn("declared dead", "epoch", epoch)
	n.lapse(true)
	return n.rejoin(ctx)
}

var errFencing = errors.New("cluster: sessions of the lost lease are still being closed")

// rejoin begins a new incarnation, to which the sweep then moves the sessions.
func (n *Node) rejoin(ctx context.Context) error {
	n.mu.Lock()
	fencing := n.fencing > 0
	n.mu.Unlock()
	if fencing {
		return errFencing
	}
	if err := n.newEpoch(ctx); err != nil {
		return err
	}
	n.rebuildWatchers()
	poke(n.wantSweep)
	poke(n.wantTidy)
	return nil
}

// expireLoop deals with the end of the lease at the moment it comes, whatever the
// heartbeat's goroutine waits for.
func (n *Node) expireLoop() {
	for {
		n.mu.Lock()
		left, lapsed := time.Until(n.leaseUntil), n.lapsed
		n.mu.Unlock()
		switch {
		case lapsed:
			left = n.c.beat() / 16
		case left <= 0:
			n.lapse(false)
			continue
		}
		select {
		case <-n.ctx.Done():
			return
		case <-time.After(left):
		}
	}
}

// lapse ends the lease, if it is over or the node was declared dead, and closes
// the sessions if it is to fence.
func (n *Node) lapse(dead bool) {
	n.mu.Lock()
	if n.lapsed || !dead && time.Now().Before(n.leaseUntil) {
		n.mu.Unlock()
		return
	}
	n.lapsed = true
	n.leaseUntil = time.Time{}
	var fenced []tenure
	if n.c.OnLeaseLost == Fence && !n.left {
		fenced = n.heldLocked()
	}
	if len(fenced) > 0 {
		n.fencing++
		n.wg.Go(func() { n.fence(fenced) })
	}
	n.mu.Unlock()
	n.log.Warn("lease lost", "fenced", len(fenced))
}

// fence closes the sessions of a lost lease. Until it returns no new incarnation
// begins: it would count as alive beside sessions that others may have taken.
func (n *Node) fence(sessions []tenure) {
	if err := n.closeAll(n.ctx, sessions, LeaseLost); err != nil {
		n.log.Debug("leaving cut the fencing short", "error", err)
	}
	n.mu.Lock()
	n.fencing--
	n.mu.Unlock()
	poke(n.wantBeat)
}
