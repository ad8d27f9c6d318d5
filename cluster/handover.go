package cluster

import (
	"context"

	"github.com/sessionwheel/sessionwheel/pool"
)

// HandoverLocal is a Local whose sessions hand something over when they are taken over.
// *LocalPool is a HandoverLocal.
type HandoverLocal interface {
	Local
	// HandOver returns what the login that takes over the session with the given ID and
	// token is to get, or nothing. It is called when [LocalPool.Handover] is, and at most
	// once for a session: Close follows. If ctx ends first, nobody waits for the result at
	// the moment; the next login or request that takes the session over gets it.
	HandOver(ctx context.Context, id string, token uint64) []byte
}

type handoverKey struct{}

// WithHandover returns a context for a Claim, and so for a pool's RegisterContext or a
// session's Bind. The Claim calls f with what the session that it takes over hands over, on
// whichever node that session is: see [LocalPool.Handover]. It does so on its own goroutine,
// just before it calls activate, so nobody can find the new session yet. f may keep state. It is
// called once at most, and not if nothing is handed over or Claim returns an error. f must not
// block.
//
// If a login gives up after the session has ended, the session's node keeps the state for the
// next login of the ID, for a lease, and up to 64 MiB in all; Lookup finds the session until
// then. The state is lost if that node leaves, dies, or loses its lease before. A node of a version
// without handovers hands nothing over.
func WithHandover(ctx context.Context, f func(state []byte)) context.Context {
	return context.WithValue(ctx, handoverKey{}, f)
}

// received calls the function of a claim's context, if it has one, with what was handed over.
func received(ctx context.Context, state []byte) {
	if f, ok := ctx.Value(handoverKey{}).(func([]byte)); ok && len(state) > 0 {
		f(state)
	}
}

// handOver returns what a session of this node hands over.
func (n *Node) handOver(ctx context.Context, id string, token uint64) []byte {
	if l, ok := n.c.Local.(HandoverLocal); ok {
		return l.HandOver(ctx, id, token)
	}
	return nil
}

// sendable returns state, or nil if the broker would not take a reply that carries it.
func (n *Node) sendable(state []byte) []byte {
	if most := n.maxData(); int64(len(state)) > most {
		n.log.Warn("a session's state is too large to be handed over", "bytes", len(state), "max", most)
		return nil
	}
	return state
}

// HandOver calls Handover for a session of the pool. See [HandoverLocal].
func (l *LocalPool[C]) HandOver(_ context.Context, id string, token uint64) []byte {
	if l.Handover == nil {
		return nil
	}
	if s := l.session(id, token); s != nil {
		return l.Handover(s)
	}
	return nil
}

// session returns the session with the given ID and token, or nil if it is not there.
func (l *LocalPool[C]) session(id string, token uint64) *pool.Session[string, C] {
	p := l.pool.Load()
	if p == nil {
		return nil
	}
	if s, ok := p.Get(id); ok && s.Token() == token {
		return s
	}
	return nil
}
