package cluster

import (
	"context"

	"github.com/sessionwheel/sessionwheel/pool"
)

// ending is a call of Local.Close. All who want a session closed wait for the same call,
// each until its own context ends.
type ending struct {
	done chan struct{} // closed when the call has returned

	// Guarded by Node.mu.
	waiting int // how many wait for it
	over    bool
	err     error // the session has not ended
}

// closeSession closes this node's session with the given ID and token, if there is one, and
// returns when the session has ended, or with the error of ctx. It reports false, and closes
// nothing, if the ID has another session. The caller has locked the ID. If closeSession
// returns no error, the caller deletes the session's entry.
func (n *Node) closeSession(ctx context.Context, id string, token uint64, why pool.Reason) (bool, error) {
	for {
		e, same := n.beginEnding(ctx, id, token, why)
		if e == nil {
			return same, nil
		}
		select {
		case <-e.done:
		case <-ctx.Done():
		}
		n.mu.Lock()
		e.waiting--
		ended := e.over && e.err == nil
		n.mu.Unlock()
		if ended {
			return true, nil
		}
		// The call may have had the context of somebody who has waited for longer.
		if !sleep(ctx, minBackoff) {
			return true, ctx.Err()
		}
	}
}

// beginEnding calls Local.Close for a session, unless that is done already. If there is no
// session with that ID and token, it returns nil, and reports false if there is another one.
func (n *Node) beginEnding(ctx context.Context, id string, token uint64, why pool.Reason) (e *ending, same bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sessions[id]
	if s == nil || s.token != token {
		return nil, s == nil
	}
	if s.ending == nil {
		e := &ending{done: make(chan struct{})}
		s.ending = e
		// Leave waits for it. It ends with the session, or with ctx if Local heeds that.
		n.endings.Go(func() { n.endSession(ctx, id, s, e, why) })
	}
	s.ending.waiting++
	return s.ending, true
}

// endSession calls Local.Close. Until the session has ended, it counts as one of this node.
// If nobody waits for that any more, the entry is left to a cleanup.
func (n *Node) endSession(ctx context.Context, id string, s *ownSession, e *ending, why pool.Reason) {
	_, err := n.c.Local.Close(ctx, id, s.token, why)
	n.mu.Lock()
	if n.sessions[id] == s { // else Release was called
		e.err = err
	}
	if e.err == nil {
		if n.sessions[id] == s {
			delete(n.sessions, id)
		}
		if e.waiting == 0 && s.mayHaveEntry {
			n.addCleanupLocked(id, cleanup{rev: s.rev, gen: s.gen})
		}
	}
	e.over = true
	s.ending = nil
	n.mu.Unlock()
	close(e.done)
}
