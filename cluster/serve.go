package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// The maximum numbers of requests of other nodes that are served at the same time: of one
// kind, and of one kind for one session. Requests beyond them are refused. Each kind has
// places of its own, so that sessions which do not end hold up no messages.
const (
	maxServing       = 1024
	maxServingSends  = 4096
	maxEvictsOfOneID = 2
	maxKicksOfOneID  = 16
	maxSendsOfOneID  = 128
)

// counter is where requests of one kind are counted.
type counter struct {
	slots chan struct{} // holds a value for each request that is being served
	ofOne int

	mu sync.Mutex
	// Guarded by mu.
	served map[string][]*context.CancelFunc // by key, the oldest first; each ends one request
}

func newCounter(slots, ofOne int) *counter {
	return &counter{slots: make(chan struct{}, slots), ofOne: ofOne, served: make(map[string][]*context.CancelFunc)}
}

func newCounters() map[string]*counter {
	return map[string]*counter{
		opEvict: newCounter(maxServing, maxEvictsOfOneID),
		opKick:  newCounter(maxServing, maxKicksOfOneID),
		opSend:  newCounter(maxServingSends, maxSendsOfOneID),
	}
}

// begin counts a request for a session, which cancel ends. If there are too many, it ends the
// one that has waited longest if oldest is set: its requester has probably repeated it.
// Otherwise it reports false.
func (c *counter) begin(key string, cancel *context.CancelFunc, oldest bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	served := c.served[key]
	if len(served) >= c.ofOne {
		if !oldest {
			return false
		}
		(*served[0])()
		served = served[1:]
	}
	c.served[key] = append(served, cancel)
	return true
}

// end ends a request and counts it no more.
func (c *counter) end(key string, cancel *context.CancelFunc) {
	(*cancel)()
	c.mu.Lock()
	defer c.mu.Unlock()
	left := slices.DeleteFunc(c.served[key], func(other *context.CancelFunc) bool { return other == cancel })
	if len(left) == 0 {
		delete(c.served, key)
	} else {
		c.served[key] = left
	}
}

// serve answers a request of another node, on a goroutine of its own because it may wait
// for a session to end. The subscription's goroutine calls it.
func (n *Node) serve(m *nats.Msg) {
	op := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	c := n.counters[op]
	if c == nil {
		n.respond(m, reply{Error: "unknown request: " + op})
		return
	}
	select {
	case c.slots <- struct{}{}:
	default:
		n.respond(m, reply{Error: "too many requests"})
		return
	}
	served := n.goBackground(func() {
		defer func() { <-c.slots }()
		n.respond(m, n.handle(op, c, decode[request](m.Data)))
	})
	if !served {
		<-c.slots
		n.respond(m, reply{Error: "node is leaving"})
	}
}

// handle executes a request and returns the reply.
func (n *Node) handle(op string, c *counter, q request) reply {
	var r reply
	var err error
	if q.id, _ = idOf(q.Key); checkID(q.id) != nil {
		return reply{Error: "invalid key"}
	}
	// Nobody waits for the reply any longer than the requester said.
	limit := n.c.LeaseTTL
	if q.Wait > 0 {
		limit = min(limit, time.Duration(q.Wait)*time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(n.ctx, limit)
	call := &cancel
	if !c.begin(q.Key, call, op == opEvict) {
		cancel()
		return reply{Error: "too many requests for this session"}
	}
	defer c.end(q.Key, call)
	switch op {
	case opEvict:
		r.Rev, err = n.evict(ctx, q, &r.State)
	case opKick:
		err = n.kick(ctx, q)
	case opSend:
		err = n.deliver(ctx, q)
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
