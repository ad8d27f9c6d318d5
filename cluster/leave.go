package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Leave removes the node from the cluster and ends its goroutines. It closes the
// sessions that the node still has with pool.Shutdown, because other nodes may take
// their IDs afterwards, and deletes their entries. To let sessions finish, shut the
// pool down first. As soon as Leave has begun, Claim returns ErrLeft, even one that is
// waiting. The node renews its lease until all its sessions are closed.
//
// The error says what could not be done, for example because the broker does not
// answer, or that ctx ended first. If ctx has ended, the closing goes on in the
// background. With Fence the node renews its lease until that is done, so no ID has a
// second session; otherwise it renews the lease no more. If it does not get to delete its
// record, the other nodes declare it dead after its lease, and delete its entries. Its
// goroutines end when all sessions are closed. A second Leave returns ErrLeft.
func (n *Node) Leave(ctx context.Context) error {
	n.mu.Lock()
	if n.closing {
		n.mu.Unlock()
		return ErrLeft
	}
	n.closing = true // no claim and no background goroutine begins
	for _, c := range n.claims {
		c.cancel(ErrLeft)
	}
	n.mu.Unlock()

	done := make(chan error, 1)
	go func() { done <- n.leave(ctx) }() // ends when all sessions are closed
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("cluster: Leave: %w", ctx.Err())
	}
}

// leave does the work of Leave, on a goroutine of its own.
func (n *Node) leave(ctx context.Context) error {
	n.cancel()
	closed := make(chan struct{})
	go func() { // ends when all sessions are closed
		defer close(closed)
		n.closeForGood()
	}()
	select {
	case <-closed:
	case <-ctx.Done():
		if n.c.OnLeaseLost != Fence {
			n.endLast()
		}
		<-closed
	}
	n.endLast() // no heartbeat changes beatRev from here on
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), n.c.LeaseTTL)
		defer cancel()
	}
	n.mu.Lock()
	epoch, rev, sub := n.epoch, n.beatRev, n.sub
	n.mu.Unlock()
	var err error
	for range 3 { // so that one answer that is late or lost does not leave the entries to others
		if err = n.resign(ctx, epoch, rev); !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			break
		}
	}
	if sub != nil {
		err = errors.Join(err, unavailable(sub.Unsubscribe()))
	}
	n.stopListening()
	n.beatConn.Close()
	if n.ownConn {
		n.nc.Close()
	}
	return err
}

// closeForGood closes all sessions, and returns when nothing of this node can have one any
// more, or write an entry: no claim, no eviction and no fence. The cleanups delete the
// entries meanwhile, so that one session that does not end keeps no other's ID.
func (n *Node) closeForGood() {
	n.mu.Lock()
	refs := n.sessionRefsLocked()
	n.mu.Unlock()
	// The context never ends, so all are closed.
	_ = parallel(context.Background(), refs, func(ctx context.Context, ref sessionRef) error {
		unlock, err := n.locks.lock(ctx, ref.id)
		if err != nil {
			return err
		}
		defer unlock()
		return n.closeAndCleanUp(ctx, ref, pool.Shutdown)
	})
	n.claiming.Wait()
	n.wg.Wait()
	n.endings.Wait()
}

// endLast ends the loops that go on during Leave, and waits for them.
func (n *Node) endLast() {
	n.cancelLast()
	n.lastLoops.Wait()
}

// resign writes this node's tombstone, after which its entries do not count, and deletes
// the entries and then the tombstone. If it fails in between, other nodes find the
// tombstone and delete the rest.
func (n *Node) resign(ctx context.Context, epoch string, rev uint64) error {
	record := beatRecord{Node: n.c.Name, Dead: true, By: epoch}
	tombstone, err := n.nodes.put(ctx, epoch, record, rev, 0)
	for isConflict(err) {
		f, current, readErr := n.readRecord(ctx, epoch)
		if readErr != nil {
			return readErr
		}
		switch {
		case f.live && current.Dead && current.By == epoch: // it was written, and its answer was lost
			tombstone, err = f.rev, nil
		case !f.live || current.Dead:
			return nil // another node has declared this one dead, and deletes its entries
		default: // the last heartbeat was written, and ended before its answer came
			tombstone, err = n.nodes.put(ctx, epoch, record, f.rev, 0)
		}
	}
	if err != nil {
		return err
	}
	if err := n.finishCleanups(ctx); err != nil {
		return err
	}
	_, err = n.nodes.del(ctx, epoch, tombstone, markerTTL)
	if isConflict(err) {
		return nil
	}
	return err
}

// finishCleanups runs the cleanups, and repeats those that fail until it has got nowhere
// three times in a row. On a slow network, answers that come too late delay the next ones, so
// each time it pauses until they have passed.
func (n *Node) finishCleanups(ctx context.Context) error {
	for failed := 0; ; {
		before := n.pendingCleanups()
		err := n.runCleanups(ctx)
		switch {
		case err == nil:
			return nil
		case n.pendingCleanups() < before:
			failed = 0
		default:
			failed++
		}
		if failed == 3 || !sleep(ctx, n.c.attempt()<<failed) {
			return err
		}
	}
}

func (n *Node) pendingCleanups() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.cleanups)
}
