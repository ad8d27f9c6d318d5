package cluster

import (
	"io"
	"sync/atomic"

	"github.com/sessionwheel/sessionwheel/pool"
)

var _ pool.Directory[string] = (*Node)(nil)

// Local is the sessions of this node. *LocalPool is one. Its methods are called
// from goroutines of the node's, for sessions that Claim has activated alone.
type Local interface {
	// Close closes the session with the given ID if token is its own, and returns
	// when it processes nothing more; false if there is none. It is called with the
	// ID locked: a Claim of the same ID within it would wait until its context
	// ends. Release may be called from it. One that never returns keeps the ID from
	// everybody while this node lives.
	Close(id string, token uint64, why pool.Reason) bool
	// Deliver hands a message to the session with the given ID if token is its own;
	// false if there is none. Who sent the message waits until it returns.
	Deliver(id string, token uint64, msg []byte) bool
}

// LeaseLost is why a session is closed when the node has lost its lease and
// Config.OnLeaseLost is Fence. Beside it and the reasons that Kick is given, the
// node closes sessions with pool.Replaced, when their ID is taken, and with
// pool.Shutdown, in Leave.
const LeaseLost pool.Reason = "LeaseLost"

// LocalPool is a Local made of a pool. The node is made with it, then the pool
// with the node as its Directory, and then Use joins the two:
//
//	local := &cluster.LocalPool[*Conn]{OnMessage: deliver}
//	node, err := cluster.Join(ctx, cluster.Config{Local: local, ...})
//	p, err := pool.New(pool.Config[string, *Conn]{Directory: node, ...})
//	local.Use(p)
type LocalPool[C io.Closer] struct {
	// OnMessage is called with each message that Node.Send brings for a session, on
	// a goroutine of the node's, or of Send's caller if that is on this node. The
	// sender waits for it. It may keep the message. Nil: there is no session for
	// messages.
	OnMessage func(s *pool.Session[string, C], msg []byte)

	pool atomic.Pointer[pool.Pool[string, C]]
}

// Use sets the pool. It is called once, before the pool's first session.
func (l *LocalPool[C]) Use(p *pool.Pool[string, C]) { l.pool.Store(p) }

// Close closes a session of the pool, as [Local] says.
func (l *LocalPool[C]) Close(id string, token uint64, why pool.Reason) bool {
	p := l.pool.Load()
	return p != nil && p.CloseToken(id, token, why)
}

// Deliver calls OnMessage for a session of the pool, as [Local] says.
func (l *LocalPool[C]) Deliver(id string, token uint64, msg []byte) bool {
	p := l.pool.Load()
	if p == nil || l.OnMessage == nil {
		return false
	}
	s, ok := p.Get(id)
	if !ok || s.Token() != token {
		return false
	}
	l.OnMessage(s, msg)
	return true
}
