package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// kickRequest returns a request to close the session of an entry.
func kickRequest(id string, s dirEntry, why pool.Reason) request {
	return request{Key: keyOf(id), id: id, Token: s.Token, Rev: s.rev, Reason: why}
}

// sendRequest returns a request to deliver a message to the session of an entry.
func sendRequest(id string, s dirEntry, msg []byte) request {
	return request{Key: keyOf(id), id: id, Token: s.Token, Data: msg}
}

// checkMessage returns an error for a message that the broker would not take.
func (r *reader) checkMessage(msg []byte) error {
	if most := r.maxData(); int64(len(msg)) > most {
		return fmt.Errorf("%w: a message of %d bytes: use up to %d", ErrInvalid, len(msg), most)
	}
	return nil
}

// maxData returns how many bytes a request or a reply may carry. They are sent in base64,
// together with an ID or an error.
func (r *reader) maxData() int64 { return r.nc.MaxPayload()*3/4 - 2*maxID }

// callOwner sends a request to the owner of a session and waits for the reply, for a
// lease at most: the longer of the owner's and this process's.
func (r *reader) callOwner(ctx context.Context, epoch, op string, q request) error {
	limit := r.c.LeaseTTL
	r.mu.Lock()
	if p := r.peers[epoch]; p != nil {
		limit = max(limit, p.lease())
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := r.askOwner(ctx, epoch, op, q)
	return err
}

// askOwner sends a request to the owner of a session and waits for the reply until ctx
// ends. The error is ErrNotFound if the session is not there, and wraps ErrUnavailable
// if the owner did not reply or could not do what was requested.
func (r *reader) askOwner(ctx context.Context, epoch, op string, q request) (reply, error) {
	if until, ok := ctx.Deadline(); ok {
		wait := time.Until(until)
		q.Wait = max(1, (wait - wait/8).Milliseconds()) // the rest is for the reply, which may have a state
	}
	m, err := r.nc.RequestWithContext(ctx, r.c.Namespace+".node."+epoch+"."+op, encode(q))
	if err != nil {
		return reply{}, fmt.Errorf("%w: session's owner: %w", ErrUnavailable, err)
	}
	a := decode[reply](m.Data)
	switch {
	case a.OK:
		return a, nil
	case a.Stale:
		return a, ErrNotFound
	default:
		return a, fmt.Errorf("%w: session's owner: %.200s", ErrUnavailable, a.Error)
	}
}
