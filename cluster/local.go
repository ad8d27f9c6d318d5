package cluster

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/sessionwheel/sessionwheel/pool"
)

var _ pool.Directory[string] = (*Node)(nil)

// Local gives a node access to the sessions of its process. *LocalPool is a Local. The
// node calls the methods on several goroutines at the same time, and only for sessions
// that Claim has activated.
type Local interface {
	// Close closes the session with the given ID and token, and returns when the
	// session processes nothing more. It reports false if there is no such session. If
	// ctx ends first, Close returns its error, and is called again when somebody wants
	// the ID again; the session's connection should be closed at the first call. No two
	// calls for a session run at the same time. Close is called with the ID locked, so
	// a Claim of the same ID from it would wait until its context ends; Release may be
	// called. Until the session has ended, no node can take the ID as long as this node
	// is alive.
	Close(ctx context.Context, id string, token uint64, why pool.Reason) (bool, error)
	// Deliver delivers a message to the session with the given ID and token. It
	// reports false if there is no such session. The sender waits until Deliver
	// returns or ctx ends.
	Deliver(ctx context.Context, id string, token uint64, msg []byte) (bool, error)
}

// LeaseLost is the reason for closing sessions when the node has lost its lease and
// Config.OnLeaseLost is Fence. A node also closes sessions with the reasons passed to
// Kick, with pool.Replaced when their ID is taken, and with pool.Shutdown in Leave.
const LeaseLost pool.Reason = "LeaseLost"

// LocalPool is a Local that uses a pool. Make the node with it, then the pool with the
// node as its Directory, and then call Use with the pool:
//
//	local := &cluster.LocalPool[*Conn]{OnMessage: deliver}
//	node, err := cluster.Join(ctx, cluster.Config{Local: local, ...})
//	p, err := pool.New(pool.Config[string, *Conn]{Directory: node, ...})
//	local.Use(p)
type LocalPool[C io.Closer] struct {
	// OnMessage is called for each message that Node.Send or Client.Send sends to a
	// session, on a goroutine of the node. The sender waits until it returns, or until
	// Send's context ends. OnMessage may keep msg. If nil, no message can be delivered, and
	// Send returns ErrNotFound.
	OnMessage func(s *pool.Session[string, C], msg []byte)

	// Handover, if not nil, returns what the login that takes a session over is to get of
	// it: see [WithHandover]. If the result is empty, nothing is handed over. If it is longer
	// than a message for Send may be, it reaches no other node: the session is taken over
	// without it, and the node logs that.
	//
	// Handover is called at most once for a session, when a login on any node takes it over.
	// It is not called for a session that is kicked, closed by [Node.Leave] or for a lost
	// lease, or closing already. If nodes that were cut off from each other have admitted
	// the same ID, it may be called for the session that goes; nobody gets the result then.
	//
	// It is called on a goroutine of the node, with the ID locked, before the session is
	// closed, and possibly before the session's RegisterContext has returned. It may close the
	// connection, wait for its callbacks, and close the session. Until it returns, the node
	// does not close the session for any other reason either, and no other login gets the ID.
	Handover func(s *pool.Session[string, C]) []byte

	pool atomic.Pointer[pool.Pool[string, C]]
}

// Use sets the pool. It must be called once, before the pool has a session.
func (l *LocalPool[C]) Use(p *pool.Pool[string, C]) { l.pool.Store(p) }

// Close closes a session of the pool. See [Local].
func (l *LocalPool[C]) Close(ctx context.Context, id string, token uint64, why pool.Reason) (bool, error) {
	p := l.pool.Load()
	if p == nil {
		return false, nil
	}
	return p.CloseToken(ctx, id, token, why)
}

// Deliver calls OnMessage for a session of the pool. See [Local].
func (l *LocalPool[C]) Deliver(_ context.Context, id string, token uint64, msg []byte) (bool, error) {
	if l.OnMessage == nil {
		return false, nil
	}
	s := l.session(id, token)
	if s == nil {
		return false, nil
	}
	l.OnMessage(s, msg)
	return true, nil
}
