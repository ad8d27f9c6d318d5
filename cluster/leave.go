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
// pool down first. As soon as Leave has begun, Claim returns ErrLeft.
//
// The error says what could not be done, for example because the broker does not
// answer, or that ctx ended first. In both cases the other nodes declare this one dead
// after its lease, and delete its entries; its goroutines end by themselves. A second
// Leave returns ErrLeft.
func (n *Node) Leave(ctx context.Context) error {
	n.mu.Lock()
	if n.closing {
		n.mu.Unlock()
		return ErrLeft
	}
	n.closing = true // no claim and no background goroutine begins
	n.mu.Unlock()

	done := make(chan error, 1)
	go func() { done <- n.leave(ctx) }() // ends with ctx, and with the sessions it closes
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("cluster: Leave: %w", ctx.Err())
	}
}

// leave does the work of Leave, on a goroutine of its own.
func (n *Node) leave(ctx context.Context) error {
	// End the loops first: no heartbeat changes beatRev then.
	n.cancel()
	n.wg.Wait()
	n.mu.Lock()
	epoch, rev, refs, sub := n.epoch, n.beatRev, n.sessionRefsLocked(), n.sub
	for id, s := range n.sessions {
		if s.mayHaveEntry {
			n.addCleanupLocked(id, cleanup{rev: s.rev, gen: s.gen})
		}
	}
	n.mu.Unlock()

	// Other nodes may have the IDs only when the sessions are closed.
	err := n.closeAll(ctx, refs, pool.Shutdown)
	if err == nil {
		err = n.resign(ctx, epoch, rev)
	}
	if sub != nil {
		err = errors.Join(err, unavailable(sub.Unsubscribe()))
	}
	if n.ownConn {
		n.nc.Close()
	}
	return err
}

// resign writes this node's tombstone, after which its entries do not count, and deletes
// the entries and then the tombstone. If it fails in between, other nodes find the
// tombstone and delete the rest.
func (n *Node) resign(ctx context.Context, epoch string, rev uint64) error {
	record := beatRecord{Node: n.c.Name, Dead: true}
	tombstone, err := n.nodes.put(ctx, epoch, record, rev, 0)
	for isConflict(err) {
		f, current, readErr := n.readRecord(ctx, epoch)
		if readErr != nil {
			return readErr
		}
		if !f.live || current.Dead {
			return nil // another node has declared this one dead, and deletes its entries
		}
		// The last heartbeat was written, and ended before its answer came.
		tombstone, err = n.nodes.put(ctx, epoch, record, f.rev, 0)
	}
	if err != nil {
		return err
	}
	if err := n.runCleanups(ctx); err != nil {
		return err
	}
	_, err = n.nodes.del(ctx, epoch, tombstone, markerTTL)
	if isConflict(err) {
		return nil
	}
	return err
}
