package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// takeOver sees to it that the entry which stands in a claim's way may be
// overwritten at c.rev: it is gone, or this node's own, or its owner is dead or has
// given it up.
func (n *Node) takeOver(ctx context.Context, c *claim, seen standing) error {
	wait := 20 * time.Millisecond
	for {
		if n.State() != Active {
			return errLapsed
		}
		// A claim's token is greater than all that had the ID, whatever the clocks say.
		if seen.live && c.token <= seen.Token {
			c.token = n.tokens.next(seen.Token)
		}
		rev, err := n.yielded(ctx, c.id, seen, pool.Replaced)
		if err == nil {
			c.rev = rev
			return nil
		}
		before := seen.rev
		var readErr error
		seen, readErr = n.entry(ctx, c.id)
		if readErr == nil && seen.rev == before { // nothing moves: the owner is silent or busy
			if !sleep(ctx, wait) {
				return fmt.Errorf("%w: %w (%w)", ErrTakeoverTimeout, err, ctx.Err())
			}
			wait = min(2*wait, 500*time.Millisecond)
			seen, readErr = n.entry(ctx, c.id)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w (%w)", ErrTakeoverTimeout, err, ctx.Err())
		}
		if readErr != nil {
			return readErr
		}
	}
}

// yielded returns the revision at which an entry may be overwritten, if it may.
func (n *Node) yielded(ctx context.Context, id string, seen standing, why pool.Reason) (uint64, error) {
	if !seen.live || n.isMine(seen.Owner) {
		return seen.rev, nil // a session of this node's own is closed before the next is activated
	}
	dead, err := n.isDead(ctx, seen.Owner)
	if err != nil {
		return 0, err
	}
	if dead {
		return seen.rev, nil
	}
	ctx, cancel := context.WithTimeout(ctx, n.c.attempt())
	defer cancel()
	r, err := n.ask(ctx, seen.Owner, opEvict, request{Key: keyOf(id), id: id, Token: seen.Token, Rev: seen.rev, Reason: why})
	return r.Rev, err
}

// errStale is the answer to what was meant for another session than this node has.
var errStale = errors.New("no session with that token")

// evict closes a session of this node's and deletes its entry at the revision that
// the asker has seen. It returns the marker's revision, by which the asker goes
// on. An entry without a session is deleted too.
func (n *Node) evict(ctx context.Context, q request) (uint64, error) {
	// The lock waits for an activation that is under way: its session is closed then
	// and not overlooked.
	unlock, err := n.locks.lock(ctx, q.id)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if !n.closeHeld(q.id, q.Token, q.Reason) {
		return 0, errStale // a later login has the ID: the asker has seen an older entry
	}
	rev, err := n.dir.del(ctx, keyOf(q.id), q.Rev, markerTTL)
	if err != nil {
		n.tidyUp(q.id, chore{})
	}
	return rev, err
}

// closeHeld closes the session with the given ID and token, if this node has it.
// It reports false, and closes nothing, if the node has another one under the ID.
// The caller has locked the ID.
func (n *Node) closeHeld(id string, token uint64, why pool.Reason) bool {
	n.mu.Lock()
	h := n.held[id]
	if h != nil && h.token == token {
		delete(n.held, id) // so that the pool's Release leaves the entry to the caller
	}
	n.mu.Unlock()
	if h == nil {
		return true
	}
	if h.token != token {
		return false
	}
	n.c.Local.Close(id, token, why)
	return true
}

// tenure is a session of this node's at one moment.
type tenure struct {
	id    string
	token uint64
}

func (n *Node) heldLocked() []tenure {
	all := make([]tenure, 0, len(n.held))
	for id, h := range n.held {
		all = append(all, tenure{id, h.token})
	}
	return all
}

// closeAll closes sessions of this node's, and leaves their entries.
func (n *Node) closeAll(ctx context.Context, all []tenure, why pool.Reason) error {
	return parallel(ctx, all, func(ctx context.Context, t tenure) error {
		unlock, err := n.locks.lock(ctx, t.id)
		if err != nil {
			return err
		}
		defer unlock()
		n.closeHeld(t.id, t.token, why)
		return nil
	})
}
