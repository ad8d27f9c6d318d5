package cluster

import (
	"context"

	"github.com/sessionwheel/sessionwheel/pool"
)

// ending is a call of Local.Close. All who want a session closed wait for the same call,
// each until its own context ends.
type ending struct {
	done      chan struct{} // closed when the call has returned
	handsOver bool          // the session hands over what it keeps before

	// Guarded by Node.mu.
	waiting int // how many wait for it
	over    bool
	err     error // the session has not ended
}

// closeSession closes this node's session with the given ID and token, if there is one, and
// returns when the session has ended, or with the error of ctx. It reports false, and closes
// nothing, if the ID has another session. The caller has locked the ID. If closeSession
// returns no error, the caller deletes the session's entry.
//
// If state is not nil, the session is taken over: it hands over what it keeps before it is
// closed, unless it is being closed already, and closeSession sets *state to that, or to what
// is kept of it.
func (n *Node) closeSession(ctx context.Context, id string, token uint64, why pool.Reason, state *[]byte) (bool, error) {
	for {
		s, e := n.beginEnding(ctx, id, token, why, state != nil)
		if s == nil {
			if state != nil {
				*state = n.keptOf(id, token)
			}
			return true, nil
		}
		if e == nil {
			return false, nil
		}
		select {
		case <-e.done:
		case <-ctx.Done():
		}
		n.mu.Lock()
		e.waiting--
		ended := e.over && e.err == nil
		if ended && state != nil {
			*state = s.state
		}
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

// beginEnding calls Local.Close for a session, unless that is done already. It returns the
// session of the ID, or nil if there is none, and no ending if it has another token.
// A session that is taken over is handed over once, however often Local.Close fails.
func (n *Node) beginEnding(ctx context.Context, id string, token uint64, why pool.Reason, takenOver bool) (*ownSession, *ending) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sessions[id]
	if s == nil || s.token != token {
		return s, nil
	}
	if s.ending == nil || s.ending.over {
		e := &ending{done: make(chan struct{}), handsOver: takenOver && !s.handedOver}
		s.handedOver = s.handedOver || takenOver
		s.ending = e
		// Leave waits for it. It ends with the session, or with ctx if Local heeds that.
		n.endings.Go(func() { n.endSession(ctx, id, s, e, why) })
	}
	s.ending.waiting++
	return s, s.ending
}

// endSession calls Local.Close, and before that Local's HandOver if the session is taken over.
// Until the session has ended, it counts as one of this node. If nobody waits for that any
// more, the entry is left to a cleanup.
func (n *Node) endSession(ctx context.Context, id string, s *ownSession, e *ending, why pool.Reason) {
	if e.handsOver {
		state := n.handOver(ctx, id, s.token)
		n.mu.Lock()
		s.state = state
		n.mu.Unlock()
	}
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
			n.leaveEntryLocked(id, s)
		}
	}
	e.over = true
	n.mu.Unlock()
	close(e.done)
}
