package cluster

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
)

// maxServing is how many requests of other nodes are served at once. Those beyond
// are left to their askers, who ask again.
const maxServing = 1024

// serve answers one request of another node, on a goroutine of its own since it
// may wait for a session to end. It is called on the subscription's goroutine.
func (n *Node) serve(m *nats.Msg) {
	select {
	case n.serving <- struct{}{}:
	default:
		n.respond(m, reply{Error: "too many requests at once"})
		return
	}
	served := n.run(func() {
		defer func() { <-n.serving }()
		ctx, cancel := context.WithTimeout(n.ctx, n.c.LeaseTTL)
		defer cancel()
		op := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
		n.respond(m, n.answer(ctx, op, decode[request](m.Data)))
	})
	if !served {
		<-n.serving
		n.respond(m, reply{Error: "the node is leaving"})
	}
}

func (n *Node) answer(ctx context.Context, op string, q request) reply {
	var r reply
	var err error
	if q.id, _ = idOf(q.Key); checkID(q.id) != nil {
		return reply{Error: "no key of a session"}
	}
	switch op {
	case opEvict:
		r.Rev, err = n.evict(ctx, q)
	case opKick:
		err = n.kick(ctx, q)
	case opSend:
		err = n.deliver(q)
	default:
		err = errors.New("unknown request: " + op)
	}
	if err != nil {
		return reply{Stale: errors.Is(err, errStale), Error: err.Error()}
	}
	r.OK = true
	return r
}

func (n *Node) respond(m *nats.Msg, r reply) {
	if err := m.Respond(encode(r)); err != nil {
		n.log.Debug("an answer was not sent", "error", err) // the asker asks again
	}
}
