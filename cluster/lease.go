package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster/internal/clock"
)

// recordTTL is the time after which the broker deletes the record of a node without
// heartbeats. Other nodes declare the node dead long before; recordTTL matters if no
// node is left. The broker uses the wall clock of its host: setting that forward by
// recordTTL deletes the records of living nodes.
const recordTTL = 24 * time.Hour

// newEpoch begins a new incarnation, with a record of its own, and a lease.
func (n *Node) newEpoch(ctx context.Context) error {
	epoch := n.c.Name + "_" + rand.Text()
	// Subscribe before other nodes can see the record.
	sub, err := n.nc.Subscribe(n.c.Namespace+".node."+epoch+".*", n.serve)
	if err != nil {
		return unavailable(err)
	}
	sent := n.clocks.Now()
	rev, err := n.nodes.put(ctx, epoch, n.newRecord(0), 0, recordTTL)
	if err != nil {
		_ = sub.Unsubscribe() // no node knows the epoch
		return err
	}
	n.mu.Lock()
	old := n.sub
	n.epoch, n.sub, n.ownEpochs[epoch] = epoch, sub, true
	n.beatRev, n.beats = rev, 1
	n.setLeaseLocked(sent)
	n.silenceSince = time.Now() // this incarnation has observed no silence yet
	n.mu.Unlock()
	if old != nil {
		_ = old.Unsubscribe() // fails if the connection is gone, and with it the subscription
	}
	n.log.Info("joined", "epoch", epoch)
	return nil
}

// logDisconnected logs why the connection to the broker cannot be made again, in the broker's
// own words, once for each reason. Only beatLoop's goroutine calls it.
func (n *Node) logDisconnected() {
	err := n.beatConn.LastError()
	if n.beatConn.IsConnected() || err == nil || err.Error() == n.disconnected {
		return
	}
	n.disconnected = err.Error()
	n.log.Warn("not connected to the broker", "error", err)
}

// newRecord returns the record for the heartbeat with the given number.
func (n *Node) newRecord(beat uint64) beatRecord {
	n.mu.Lock()
	defer n.mu.Unlock()
	return beatRecord{Node: n.c.Name, Beat: beat, Sessions: len(n.sessions), Lease: n.c.LeaseTTL.Milliseconds()}
}

// setLeaseLocked sets the lease after a heartbeat. The lease counts from when the
// heartbeat was sent. Other nodes see it later, and wait for a whole lease from then.
func (n *Node) setLeaseLocked(sent clock.Instant) {
	n.hasLease = true
	n.expiryHandled = false
	n.lastBeat = sent
}

// leaseLeftLocked returns how long the node may rely on its lease.
func (n *Node) leaseLeftLocked() time.Duration {
	if !n.hasLease {
		return 0
	}
	return n.c.validity() - n.clocks.Since(n.lastBeat)
}

// beatLoop renews the lease. Nothing that may take long must run on its goroutine.
func (n *Node) beatLoop() {
	t := time.NewTimer(n.c.beat())
	defer t.Stop()
	for {
		select {
		case <-n.last.Done():
			return
		case <-n.beatNow:
		case <-t.C:
		}
		switch err := n.beat(n.last); {
		case errors.Is(err, ErrLeft):
			return // the node was declared dead while it leaves
		case err != nil && n.last.Err() == nil:
			n.log.Debug("heartbeat failed", "error", err)
			n.logDisconnected()
			t.Reset(jitter(min(n.c.beat()/8, 300*time.Millisecond)))
		default:
			n.disconnected = ""
			t.Reset(jitter(n.c.beat()))
		}
	}
}

// beat renews the lease by a compare-and-set on the previous heartbeat. A tombstone is
// written by a compare-and-set on the same revision, so only one of the two succeeds.
func (n *Node) beat(ctx context.Context) error {
	n.mu.Lock()
	epoch, rev, beat := n.epoch, n.beatRev, n.beats
	n.mu.Unlock()
	sent := n.clocks.Now()
	next, err := n.nodes.put(ctx, epoch, n.newRecord(beat), rev, recordTTL)
	switch {
	case err == nil:
		n.renewed(sent, next)
		return nil
	case isConflict(err):
		return n.resolveConflict(ctx, epoch)
	case isNoStream(err) && n.beatConn.IsConnected() && n.nodes.isGone(ctx):
		// The broker has lost the stream, and with it the chain of heartbeats and a
		// tombstone that may have been written.
		n.log.Warn("the broker has lost the directory")
		if err := n.ensure(ctx); err != nil {
			return err
		}
		return n.rejoin(ctx)
	}
	return err
}

// renewed records a successful heartbeat.
func (n *Node) renewed(sent clock.Instant, rev uint64) {
	n.mu.Lock()
	regained := n.expiryHandled
	// If this node could not renew its own lease, others could not either. When a
	// majority of brokers is back, the first node to write would otherwise declare
	// all others dead. So the silence of other nodes counts from now.
	if sent.Sub(n.lastBeat) > n.c.gap() {
		n.silenceSince = time.Now()
	}
	n.beatRev = rev
	n.beats++
	n.setLeaseLocked(sent)
	n.mu.Unlock()
	if regained {
		n.log.Info("lease regained")
		notify(n.reconcileNow)
	}
}

// resolveConflict handles a refused heartbeat. If an earlier heartbeat was written
// although its answer was lost, it records that; if this node was declared dead, it
// begins a new incarnation.
func (n *Node) resolveConflict(ctx context.Context, epoch string) error {
	f, err := n.nodes.get(ctx, epoch)
	if err != nil {
		return err
	}
	if f.live && !decode[beatRecord](f.data).Dead {
		// It is this node's heartbeat, whose answer was lost.
		n.mu.Lock()
		n.beatRev = f.rev
		n.mu.Unlock()
		return fmt.Errorf("%w: answer to a heartbeat lost", ErrUnavailable)
	}
	n.log.Warn("declared dead", "epoch", epoch)
	n.loseLease(true)
	return n.rejoin(ctx)
}

// rejoin begins a new incarnation. The next reconciliation gives it the sessions. While
// the sessions of a lost lease are being closed, rejoin returns errFencing, and in Leave
// ErrLeft.
func (n *Node) rejoin(ctx context.Context) error {
	n.mu.Lock()
	fencing, leaving := n.activeFences > 0, n.closing
	n.mu.Unlock()
	switch {
	case leaving:
		return ErrLeft // it needs no new incarnation
	case fencing:
		return errFencing
	}
	if err := n.newEpoch(ctx); err != nil {
		return err
	}
	n.restartWatchers()
	notify(n.reconcileNow)
	notify(n.cleanupNow)
	return nil
}

// expireLoop calls loseLease as soon as the lease ends, even if beatLoop is waiting for
// the broker. It looks often, since a timer stands still while the machine is suspended.
func (n *Node) expireLoop() {
	for {
		n.mu.Lock()
		left, handled := n.leaseLeftLocked(), n.expiryHandled
		n.mu.Unlock()
		often := n.c.LeaseTTL / 64
		switch {
		case handled:
			left = often
		case left <= 0:
			n.loseLease(false)
			continue
		default:
			left = min(left, often)
		}
		select {
		case <-n.ctx.Done():
			return
		case <-time.After(left):
		}
	}
}

// loseLease ends the lease if it has expired or the node was declared dead. With Fence
// it starts a goroutine that closes the sessions. It does nothing if it has run for the
// current lease.
func (n *Node) loseLease(dead bool) {
	n.mu.Lock()
	if n.expiryHandled || !dead && n.leaseLeftLocked() > 0 {
		n.mu.Unlock()
		return
	}
	n.expiryHandled = true
	n.hasLease = false
	n.dropAllKeptLocked()
	var fenced []sessionRef
	if n.c.OnLeaseLost == Fence && !n.closing {
		fenced = n.sessionRefsLocked()
	}
	if len(fenced) > 0 {
		n.activeFences++
		n.wg.Go(func() { n.fence(fenced) })
	}
	n.mu.Unlock()
	n.log.Warn("lease lost", "fenced", len(fenced))
}

// fence closes the sessions of a lost lease. No new incarnation begins until it returns:
// the node would count as alive while it still has sessions whose IDs other nodes may
// have taken.
func (n *Node) fence(sessions []sessionRef) {
	if err := n.closeAll(n.ctx, sessions, LeaseLost); err != nil {
		n.log.Debug("fencing was interrupted by Leave", "error", err)
	}
	n.mu.Lock()
	n.activeFences--
	n.mu.Unlock()
	notify(n.beatNow)
}
