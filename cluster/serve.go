package cluster

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
)

// maxServing is the maximum number of requests of other nodes that are served at the
// same time. Requests beyond it are refused, and the other nodes repeat them.
const maxServing = 1024

// serve answers a request of another node, on a goroutine of its own because it may wait
// for a session to end. The subscription's goroutine calls it.
func (n *Node) serve(m *nats.Msg) {
	select {
	case n.serveSlots <- struct{}{}:
	default:
		n.respond(m, reply{Error: "too many requests"})
		return
	}
	served := n.goBackground(func() {
		defer func() { <-n.serveSlots }()
		ctx, cancel := context.WithTimeout(n.ctx, n.c.LeaseTTL)
		defer cancel()
		op := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
		n.respond(m, n.handle(ctx, op, decode[request](m.Data)))
	})
	if !served {
		<-n.serveSlots
		n.respond(m, reply{Error: "node is leaving"})
	}
}

// handle executes a request and returns the reply.
func (n *Node) handle(ctx context.Context, op string, q request) reply {
	var r reply
	var err error
	if q.id, _ = idOf(q.Key); checkID(q.id) != nil {
		return reply{Error: "invalid key"}
	}
	switch op {
	case opEvict:
		r.Rev, err = n.evict(ctx, q)
	case opKick:
		err = n.kick(ctx, q)
	case opSend:
		err = n.deliver(ctx, q)
	default:
		err = errors.New("unknown request: " + op)
	}
	if err != nil {
		return reply{Stale: errors.Is(err, errStale), Error: err.Error()}
	}
	r.OK = true
	return r
}

// respond sends a reply.
func (n *Node) respond(m *nats.Msg, r reply) {
	if err := m.Respond(encode(r)); err != nil {
		n.log.Debug("reply not sent", "error", err) // the other node repeats its request
	}
}
