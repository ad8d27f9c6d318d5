package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Leave takes the node out of the cluster and ends its goroutines. The sessions
// that it still has are closed with pool.Shutdown, since others may take their IDs
// from then on, and their entries are deleted. Shut the pool down first if its
// sessions are to have their time to finish.
//
// When Leave has begun, Claim returns ErrLeft. The error says what could not be
// done, as without a broker, or that ctx has ended first: then the others find the
// node dead after its lease, and do the rest; its goroutines end by themselves. A
// second Leave returns ErrLeft.
func (n *Node) Leave(ctx context.Context) error {
	n.mu.Lock()
	if n.left {
		n.mu.Unlock()
		return ErrLeft
	}
	n.left = true // no claim begins, and nothing of the background
	n.mu.Unlock()

	done := make(chan error, 1)
	go func() { done <- n.leave(ctx) }() // ends with ctx, and with the sessions it closes
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("cluster: leaving was cut short: %w", ctx.Err())
	}
}

func (n *Node) leave(ctx context.Context) error {
	// The heartbeats end first: the last revision is this goroutine's then.
	n.cancel()
	n.wg.Wait()
	n.mu.Lock()
	epoch, rev, held, sub := n.epoch, n.beatRev, n.heldLocked(), n.sub
	for id, h := range n.held {
		if h.listed {
			n.choreLocked(id, chore{rev: h.rev, gen: h.gen})
		}
	}
	n.mu.Unlock()

	// Only when the sessions are closed may others have their IDs.
	err := n.closeAll(ctx, held, pool.Shutdown)
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

// resign declares this node dead, after which its entries do not count, and deletes
// them. If all are gone the certificate is, too; if not, it has the others delete
// what is left.
func (n *Node) resign(ctx context.Context, epoch string, rev uint64) error {
	certificate, err := n.nodes.put(ctx, epoch, beatRecord{Node: n.c.Name, Dead: true}, rev, 0)
	if isConflict(err) {
		return nil // somebody has declared it dead, and sees to the rest
	}
	if err != nil {
		return err
	}
	if err := n.tidy(ctx); err != nil {
		return err
	}
	_, err = n.nodes.del(ctx, epoch, certificate, markerTTL)
	if isConflict(err) {
		return nil
	}
	return err
}
