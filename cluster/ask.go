package cluster

import (
	"context"
	"fmt"

	"github.com/sessionwheel/sessionwheel/pool"
)

// kicking and sending are what is asked of a session's owner, in the tenure that was
// found.
func kicking(id string, s standing, why pool.Reason) request {
	return request{Key: keyOf(id), id: id, Token: s.Token, Rev: s.rev, Reason: why}
}

func sending(id string, s standing, msg []byte) request {
	return request{Key: keyOf(id), id: id, Token: s.Token, Data: msg}
}

// checkMessage refuses what the broker would not take.
func (r *reader) checkMessage(msg []byte) error {
	// It is encoded in base64, beside the ID.
	if most := r.nc.MaxPayload()*3/4 - 2*maxID; int64(len(msg)) > most {
		return fmt.Errorf("%w: a message of %d bytes: use up to %d", ErrInvalid, len(msg), most)
	}
	return nil
}

// tell asks the owner of a session and waits for a lease, the longer of the owner's
// and this process's.
func (r *reader) tell(ctx context.Context, epoch, op string, q request) error {
	limit := r.c.LeaseTTL
	r.mu.Lock()
	if p := r.peers[epoch]; p != nil {
		limit = max(limit, p.lease())
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := r.ask(ctx, epoch, op, q)
	return err
}

// ask puts a question to the owner of a session. An error is all but what it was
// asked for; ErrNotFound if the session is not there.
func (r *reader) ask(ctx context.Context, epoch, op string, q request) (reply, error) {
	m, err := r.nc.RequestWithContext(ctx, r.c.Namespace+".node."+epoch+"."+op, encode(q))
	if err != nil {
		return reply{}, fmt.Errorf("%w from the session's owner: %w", ErrUnavailable, err)
	}
	a := decode[reply](m.Data)
	switch {
	case a.OK:
		return a, nil
	case a.Stale:
		return a, ErrNotFound
	default:
		return a, fmt.Errorf("%w from the session's owner but: %.200s", ErrUnavailable, a.Error)
	}
}
