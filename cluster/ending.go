package cluster

import (
	"context"
	"sync"

	"github.com/sessionwheel/sessionwheel/pool"
)

// ending is a call of Local.Close. All who want a session closed wait for the same call,
// each until its own context ends.
type ending struct {
	done  chan struct{} // closed when the call has returned
	state func() []byte // hands the session over at the first call; nil: nobody takes it over

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
// closed, unless it is being closed already, and closeSession sets *state to that.
func (n *Node) closeSession(ctx context.Context, id string, token uint64, why pool.Reason, state *[]byte) (bool, error) {
	for {
		e, same := n.beginEnding(ctx, id, token, why, state != nil)
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
			if state != nil && e.state != nil {
				*state = e.state()
			}
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
// A session that is taken over is handed over once, however often Local.Close fails.
func (n *Node) beginEnding(ctx context.Context, id string, token uint64, why pool.Reason, takenOver bool) (e *ending, same bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sessions[id]
	if s == nil || s.token != token {
		return nil, s == nil
	}
	if s.ending == nil || s.ending.over {
		e := &ending{done: make(chan struct{})}
		if s.ending != nil {
			e.state = s.ending.state
		}
		if takenOver && e.state == nil {
			e.state = sync.OnceValue(func() []byte { return n.handOver(ctx, id, token) })
		}
		s.ending = e
		// Leave waits for it. It ends with the session, or with ctx if Local heeds that.
		n.endings.Go(func() { n.endSession(ctx, id, s, e, why) })
	}
	s.ending.waiting++
	return s.ending, true
}

// endSession calls Local.Close, and before that Local's HandOver if the session is taken over.
// Until the session has ended, it counts as one of this node. If nobody waits for that any
// more, the entry is left to a cleanup.
func (n *Node) endSession(ctx context.Context, id string, s *ownSession, e *ending, why pool.Reason) {
	if e.state != nil {
		e.state()
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
			n.addCleanupLocked(id, cleanup{rev: s.rev, gen: s.gen})
		}
	}
	e.over = true
	n.mu.Unlock()
	close(e.done)
}
